//! AWS by its own clients: signed inside with stand-ins, taken by origins that find the real key's signature and no
//! other.

use standin_e2e::{Outcome, Rig, clients};
use standin_testkit::origin::aws::{KEY, SECRET, TEMPORARY, TOKEN};

const BUCKET: &str = "standin-test.s3.eu-central-1.amazonaws.com";
/// The same where no region is named, as presigned URLs have it.
const ANYWHERE: &str = "standin-test.s3.amazonaws.com";
const DYNAMO: &str = "dynamodb.eu-central-1.amazonaws.com";
const STS: &str = "sts.eu-central-1.amazonaws.com";

/// The client, with what `./test` installed.
fn aws(rig: Rig, script: &str) -> Outcome {
    let clients = clients();
    let script = format!(
        "export PYTHONPATH={clients}/python AWS_EC2_METADATA_DISABLED=true PATH={clients}/python/bin:/usr/bin:/bin\n\
         aws() {{ /usr/bin/python3 -m awscli \"$@\"; }}\n{script}"
    );
    rig.with(&["--ro", &clients]).script(&script)
}

fn with_keys(hosts: &[&str]) -> Rig {
    Rig::new(hosts)
        .variable("AWS_ACCESS_KEY_ID", KEY)
        .variable("AWS_SECRET_ACCESS_KEY", SECRET)
        .variable("AWS_DEFAULT_REGION", "eu-central-1")
}

#[test]
fn objects_go_and_come_back() {
    let outcome = aws(
        with_keys(&[BUCKET, ANYWHERE]),
        "echo hello > a.txt
         aws s3 cp --quiet a.txt 's3://standin-test/dir/a b+c.txt'
         aws s3 cp --quiet 's3://standin-test/dir/a b+c.txt' -
         aws s3 ls s3://standin-test | sed 's/.* //'
         curl -sS \"$(aws s3 presign 's3://standin-test/dir/a b+c.txt')\"
         aws s3 rm --quiet s3://standin-test/dir/x",
    )
    .succeeded();
    assert_eq!(outcome.stdout, "hello\nb+c.txt\nhello\n", "{}", outcome.stderr);
    let upload = outcome.seen.iter().find(|seen| seen.method == "PUT").unwrap();
    assert_eq!(upload.header("x-amz-content-sha256"), Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
    assert!(upload.header("authorization").unwrap().contains(KEY), "{upload:?}");
    assert!(outcome.log.contains(r#""credentials":["aws"]"#), "{}", outcome.log);
}

/// In parts on the way there, and in ranges on the way back.
#[test]
fn large_objects_go_in_parts() {
    let outcome = aws(
        with_keys(&[BUCKET]),
        "head -c 20000000 /dev/urandom > big
         aws s3 cp --quiet big s3://standin-test/big
         aws s3 cp --quiet s3://standin-test/big back
         cmp big back && echo same",
    )
    .succeeded();
    assert_eq!(outcome.stdout, "same\n", "{}", outcome.stderr);
    assert!(outcome.seen.iter().filter(|seen| seen.target.contains("partNumber=")).count() >= 3);
    assert!(outcome.seen.iter().filter(|seen| seen.header("range").is_some()).count() >= 3);
}

#[test]
fn temporary_keys_and_other_services() {
    let rig = Rig::new(&[DYNAMO, STS, BUCKET, ANYWHERE])
        .variable("AWS_ACCESS_KEY_ID", TEMPORARY)
        .variable("AWS_SECRET_ACCESS_KEY", SECRET)
        .variable("AWS_SESSION_TOKEN", TOKEN)
        .variable("AWS_DEFAULT_REGION", "eu-central-1");
    let outcome = aws(
        rig,
        "echo \"$AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY $AWS_SESSION_TOKEN\" | sed 's/[A-Z2-7]\\{16\\} / id /' | wc -w
         echo \"$AWS_ACCESS_KEY_ID\" | grep -c '^ASIA[A-Z2-7]\\{16\\}$'
         aws dynamodb get-item --table-name t --key '{\"id\":{\"S\":\"1\"}}' --query Item.text.S --output text
         aws sts get-caller-identity --query Account --output text
         echo hello | aws s3 cp --quiet - s3://standin-test/x
         curl -sS \"$(aws s3 presign s3://standin-test/x)\"",
    )
    .succeeded();
    assert_eq!(outcome.stdout, "4\n1\nan item\n123456789012\nhello\n", "{}", outcome.stderr);
    let tokens = outcome.seen.iter().filter(|seen| seen.header("x-amz-security-token") == Some(TOKEN)).count();
    assert!(tokens >= 3, "{:?}", outcome.seen);
}

/// The same key in the same workspace, run after run.
#[test]
fn a_profile_is_lent_when_it_is_named() {
    let rig = Rig::new(&[BUCKET]);
    let directory = rig.home().join(".aws");
    std::fs::create_dir(&directory).unwrap();
    let keys = format!(
        "[default]\naws_access_key_id = AKIAOTHEROTHEROTHER2\naws_secret_access_key = other\n\n\
         [work]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    );
    std::fs::write(directory.join("credentials"), keys).unwrap();
    std::fs::write(directory.join("config"), "[profile work]\nregion = eu-central-1\nsso_start_url = x\n").unwrap();
    let rig = rig.with(&["--aws-profile", "work"]);
    let outcome = aws(
        rig,
        "echo hello | aws s3 cp --quiet - s3://standin-test/x && aws --profile work s3 cp --quiet s3://standin-test/x -
         grep -c . ~/.aws/credentials; grep -o 'AKIA' ~/.aws/credentials; cat ~/.aws/config",
    )
    .succeeded();
    assert_eq!(outcome.stdout, "hello\n3\nAKIA\n[profile work]\nregion = eu-central-1\n", "{}", outcome.stderr);
}

/// Nobody asked for the home's keys.
#[test]
fn profiles_are_not_lent_unasked() {
    let rig = Rig::new(&[BUCKET]);
    std::fs::create_dir(rig.home().join(".aws")).unwrap();
    let keys = format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    std::fs::write(rig.home().join(".aws/credentials"), keys).unwrap();
    let outcome = aws(rig, "aws s3 ls s3://standin-test 2>&1; ls -a ~/.aws 2>&1");
    assert!(outcome.stdout.contains("Unable to locate credentials"), "{}", outcome.stdout);
    assert!(outcome.seen.is_empty());
}

/// Each says why, in words that the client prints.
#[test]
fn refusals_can_be_read() {
    let outcome = aws(
        with_keys(&[BUCKET, DYNAMO, STS, "x.execute-api.eu-central-1.amazonaws.com", "iam.amazonaws.com"]),
        "tried() { echo \"== $1\"; shift; \"$@\" 2>&1 | tail -n 2; }
         tried session aws sts get-session-token
         tried role aws sts assume-role --role-arn arn:aws:iam::123456789012:role/x --role-session-name yy
         tried key aws iam create-access-key
         tables=https://dynamodb.eu-central-1.amazonaws.com
         tried region aws --region us-east-1 --endpoint-url $tables dynamodb list-tables
         theirs() { AWS_ACCESS_KEY_ID=AKIAATTACKER2345ATTA AWS_SECRET_ACCESS_KEY=x aws \"$@\"; }
         tried foreign theirs s3 ls s3://standin-test
         tried secret env AWS_SECRET_ACCESS_KEY=x /usr/bin/python3 -m awscli dynamodb list-tables
         tried unsigned aws --no-sign-request s3 ls s3://standin-test
         tried api curl -sS https://x.execute-api.eu-central-1.amazonaws.com/?leak=1
         tried bearer curl -sS -H \"Authorization: Bearer $AWS_SECRET_ACCESS_KEY\" $tables
         tried astray curl -sS -H \"X-Note: $AWS_SECRET_ACCESS_KEY\" $tables",
    );
    let said = |name: &str| {
        let rest = outcome.stdout.split(&format!("== {name}\n")).nth(1).unwrap_or_default();
        rest.split("\n== ").next().unwrap_or_default().to_owned()
    };
    for (name, expected) in [
        (
            "session",
            "(http.request_not_allowed) when calling the GetSessionToken operation: Standin: GetSessionToken of sts",
        ),
        ("role", "(http.request_not_allowed) when calling the AssumeRole operation"),
        ("key", "(http.request_not_allowed) when calling the CreateAccessKey operation"),
        ("region", "when calling the ListTables operation: Standin: it is signed for dynamodb in us-east-1"),
        ("foreign", "when calling the ListObjectsV2 operation: Standin: it is signed with a key that was not lent"),
        ("secret", "the signature is not that of this request with this key"),
        ("unsigned", "(credential.signature) when calling the ListObjectsV2 operation: Standin: requests to"),
        ("api", "\"code\":\"credential.signature\""),
        ("bearer", "credential."),
        ("astray", "credential."),
    ] {
        assert!(said(name).contains(expected), "{name}: {}\n{}", said(name), outcome.stderr);
    }
    assert!(outcome.seen.is_empty(), "{:?}", outcome.seen);
}

/// A hand-made client: botocore does not sign its chunks over TLS, others' SDKs do.
const CHUNKS: &str = r"
import hashlib, hmac, http.client, os, ssl, sys, time
host, bad = 'standin-test.s3.eu-central-1.amazonaws.com', sys.argv[1]
now = time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())
scope = now[:8] + '/eu-central-1/s3/aws4_request'
sha = lambda data: hashlib.sha256(data).hexdigest()
mac = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256).digest()
key = ('AWS4' + os.environ['AWS_SECRET_ACCESS_KEY']).encode()
for part in scope.split('/'):
    key = mac(key, part)
sign = lambda *lines: mac(key, '\n'.join(lines)).hex()
kind = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' + ('-TRAILER' if bad == 'trailer' else '')
chunks = [b'a' * 65536, b'b' * 1000, b'']
headers = {'host': host, 'x-amz-content-sha256': kind, 'x-amz-date': now}
headers |= {'x-amz-decoded-content-length': '66536', 'content-encoding': 'aws-chunked'}
names = ';'.join(sorted(headers))
canonical = 'PUT\n/chunked\n\n' + ''.join(f'{n}:{headers[n]}\n' for n in sorted(headers)) + f'\n{names}\n{kind}'
last = sign('AWS4-HMAC-SHA256', now, scope, sha(canonical.encode()))
key_id = os.environ['AWS_ACCESS_KEY_ID']
headers['authorization'] = f'AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={last}'
body = b''
for chunk in chunks:
    last = sign('AWS4-HMAC-SHA256-PAYLOAD', now, scope, last, sha(b''), sha(chunk))
    sent = b'c' * len(chunk) if bad == 'data' and chunk[:1] == b'b' else chunk
    body += f'{len(chunk):x};chunk-signature={last}\r\n'.encode() + sent + (b'\r\n' if chunk else b'')
if bad == 'trailer':
    last = sign('AWS4-HMAC-SHA256-TRAILER', now, scope, last, sha(b'x-amz-checksum-crc32:AAAAAA==\n'))
    body += f'x-amz-checksum-crc32:AAAAAA==\r\nx-amz-trailer-signature:{last}\r\n'.encode()
body += b'\r\n'
connection = http.client.HTTPSConnection(host, context=ssl.create_default_context())
connection.request('PUT', '/chunked', body=body, headers=headers)
answer = connection.getresponse()
print(answer.status, answer.getheader('x-standin-reason'), answer.read().decode())
";

#[test]
fn signed_chunks_are_signed_anew() {
    let rig = with_keys(&[BUCKET]);
    std::fs::write(rig.workspace().join("chunks.py"), CHUNKS).unwrap();
    let outcome = aws(
        rig,
        "python3 chunks.py good; aws s3 cp --quiet s3://standin-test/chunked - | wc -c
         python3 chunks.py trailer; python3 chunks.py data",
    )
    .succeeded();
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(lines[..3], ["200 None ", "66536", "200 None "], "{}{}", outcome.stdout, outcome.stderr);
    assert!(lines[3].starts_with("403 credential.signature"), "{}", outcome.stdout);
}
