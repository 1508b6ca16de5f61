//! Clients that come from PyPI, with the system's Python. None is told anything but where it was installed.

use standin_e2e::{Outcome, Rig, clients, registry};

/// Runs a script in which Python finds what `./test` installed.
fn with_packages(rig: Rig, script: &str) -> Outcome {
    let clients = clients();
    let script = format!("export PYTHONPATH={clients}/python PATH={clients}/python/bin:/usr/bin:/bin\n{script}");
    rig.with(&["--ro", &clients]).script(&script).succeeded()
}

/// Runs Python, and expects one request to have come to an origin.
fn fetches(python: &str) -> Outcome {
    let rig = Rig::new(&["plain.example"]).with(&["--allow", "plain.example"]);
    let outcome = with_packages(rig, &format!("/usr/bin/python3 - <<'END'\n{python}\nEND"));
    assert_eq!(outcome.seen.len(), 1, "{:?}\n{}", outcome.seen, outcome.stderr);
    outcome
}

#[test]
fn requests() {
    let outcome = fetches("import requests\nprint(requests.get('https://plain.example/').json()['host'])");
    assert_eq!(outcome.stdout, "plain.example\n");
}

#[test]
fn httpx() {
    let outcome = fetches(
        "import httpx
answer = httpx.get('https://plain.example/')
print(answer.http_version, answer.json()['host'])",
    );
    assert_eq!(outcome.stdout, "HTTP/1.1 plain.example\n");
}

#[test]
fn httpx_with_http2() {
    let outcome = fetches(
        "import httpx
answer = httpx.Client(http2=True).get('https://plain.example/')
print(answer.http_version, answer.json()['host'])",
    );
    assert_eq!(outcome.stdout, "HTTP/2 plain.example\n");
}

#[test]
fn aiohttp() {
    let outcome = fetches(
        "import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession() as session, session.get('https://plain.example/') as answer:
        print((await answer.json())['host'])
asyncio.run(main())",
    );
    assert_eq!(outcome.stdout, "plain.example\n");
}

/// A whole call: HTTP/2, a trailer in the answer.
#[test]
fn grpc() {
    let outcome = fetches(
        "import grpc
channel = grpc.secure_channel('plain.example:443', grpc.ssl_channel_credentials())
print(channel.unary_unary('/test.Echo/Say')(b'hi', timeout=60))",
    );
    assert_eq!(outcome.stdout, "b'hello'\n");
    assert_eq!(outcome.seen[0].header("te"), Some("trailers"), "{:?}", outcome.seen);
}

/// The origin is no WebSocket server: it is reached, and says so.
#[test]
fn websockets() {
    let outcome = fetches(
        "import websockets.sync.client, websockets.exceptions
try:
    websockets.sync.client.connect('wss://plain.example/')
except websockets.exceptions.InvalidStatus as error:
    print(error.response.status_code)",
    );
    assert_eq!(outcome.stdout, "200\n");
    assert_eq!(outcome.seen[0].header("upgrade"), Some("websocket"), "{:?}", outcome.seen);
}

#[test]
fn uv_installs() {
    let hosts = registry("pypi");
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let outcome = with_packages(
        Rig::new(&hosts),
        "uv -q venv -p /usr/bin/python3 v && uv -q pip install -p v tiny && v/bin/python -c 'import tiny; print(tiny.NAME)'",
    );
    assert_eq!(outcome.stdout, "tiny\n", "{}", outcome.stderr);
}

/// Without a key its requests are not signed.
#[test]
fn aws_reads_a_public_bucket() {
    let bucket = "standin-test.s3.amazonaws.com";
    let rig = Rig::new(&[bucket]).with(&["--allow", bucket]);
    let aws = "/usr/bin/python3 -m awscli --no-sign-request --region us-east-1 s3";
    let outcome = with_packages(rig, &format!("{aws} ls s3://standin-test && {aws} cp s3://standin-test/hello.txt -"));
    assert!(outcome.stdout.ends_with("5 hello.txt\nhello"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert!(outcome.seen.iter().all(|seen| seen.host == bucket), "{:?}", outcome.seen);
}
