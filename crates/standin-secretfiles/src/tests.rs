//! Each format, and what holds in all of them.

mod invariants;

use super::*;
use invariants::FORMATS;
use proptest::prelude::*;
use std::path::Path;

/// The file with `«name»` in place of each secret.
fn marked(format: Format, text: &str) -> String {
    match find(format, text.as_bytes()) {
        Found::Nothing => text.to_owned(),
        Found::NotUnderstood => "hidden".to_owned(),
        Found::Secrets(secrets) => {
            let mut written = String::new();
            let mut at = 0;
            for secret in &secrets {
                written += &text[at..secret.range.start];
                written.extend(["«", &secret.name, "»"]);
                at = secret.range.end;
            }
            written + &text[at..]
        }
    }
}

fn check(format: Format, text: &str, expected: &str) {
    assert_eq!(marked(format, text), expected, "{text}");
}

#[test]
fn names() {
    for (path, expected) in [
        ("/w/.env", Some(Format::Dotenv)),
        ("/w/a/.ENV.local", Some(Format::Dotenv)),
        ("/w/.env.production", Some(Format::Dotenv)),
        ("/w/prod.env", Some(Format::Dotenv)),
        ("/w/.env.example", None),
        ("/w/.env.local.sample", None),
        ("/w/.env.template", None),
        ("/w/.env.dist", None),
        ("/w/environment", None),
        ("/w/.docker/config.json", Some(Format::Json)),
        // What agents keep their logins in, wherever a copy of it lies.
        ("/h/.claude/.credentials.json", Some(Format::Json)),
        ("/w/backup/.codex/auth.json", Some(Format::Json)),
        ("/w/.gemini/oauth_creds.json", Some(Format::Json)),
        ("/w/src/config.json", None),
        ("/h/.aws/credentials", Some(Format::Ini)),
        ("/w/credentials", None),
        ("/h/.kube/config", Some(Format::Yaml)),
        ("/w/.git/config", Some(Format::Ini)),
        ("/w/config", None),
        ("/w/tls/server.key", Some(Format::Pem)),
        ("/h/.ssh/id_ed25519", Some(Format::Pem)),
        ("/h/.ssh/id_ed25519.pub", None),
        ("/w/id_map.rs", None),
        ("/w/my-service-account.json", Some(Format::Json)),
        ("/h/.netrc", Some(Format::Netrc)),
        ("/w/keystore.p12", Some(Format::Opaque)),
        ("/w/README.md", None),
    ] {
        assert_eq!(format_of(Path::new(path)), expected, "{path}");
    }
}

#[test]
fn dotenv() {
    check(
        Format::Dotenv,
        "# app\nNODE_ENV=production\nPORT=3000\nexport API_KEY=abc123def # mine\nDEBUG=true\nEMPTY_TOKEN=\n",
        "# app\nNODE_ENV=production\nPORT=3000\nexport API_KEY=«API_KEY» # mine\nDEBUG=true\nEMPTY_TOKEN=\n",
    );
    check(Format::Dotenv, "A_TOKEN = \"with space\" # x\r\nB=1\r\n", "A_TOKEN = \"«A_TOKEN»\" # x\r\nB=1\r\n");
    check(Format::Dotenv, "DB_PASSWORD='p#w d'", "DB_PASSWORD='«DB_PASSWORD»'");
    check(
        Format::Dotenv,
        "DATABASE_URL=postgres://u:pw1!@db:5432/x?sslmode=require\nURL=https://example.com/a?b=c\n",
        "DATABASE_URL=postgres://u:«DATABASE_URL»@db:5432/x?sslmode=require\nURL=https://example.com/a?b=c\n",
    );
    check(
        Format::Dotenv,
        "A=postgres://u:pw1!@db/x?sslkey=/k&sslpassword=pw2!pw2\nB=postgres://db/x?user=u&password=pw3!pw3\n",
        "A=postgres://u:«A»@db/x?sslkey=/k&sslpassword=«A»\nB=postgres://db/x?user=u&password=«B»\n",
    );
    check(
        Format::Dotenv,
        "KEY=\"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\"\nPORT=1\n",
        "KEY=\"«KEY»\"\nPORT=1\n",
    );
    check(Format::Dotenv, "#OLD_SECRET=hunter2000\n# it's fine\n", "#OLD_SECRET=«OLD_SECRET»\n# it's fine\n");
    check(Format::Dotenv, "export A=1 B_TOKEN=abcdef C=2", "export A=1 B_TOKEN=«B_TOKEN» C=2");
    check(
        Format::Dotenv,
        "X_TOKEN=$OTHER\nY_TOKEN=${OTHER}\nZ=${A_KEY:-x}",
        "X_TOKEN=$OTHER\nY_TOKEN=${OTHER}\nZ=${A_KEY:-x}",
    );
    check(
        Format::Dotenv,
        "MAX_TOKENS=4096\nTOKEN_TTL=3600\nAUTH_ENABLED=true",
        "MAX_TOKENS=4096\nTOKEN_TTL=3600\nAUTH_ENABLED=true",
    );
    check(Format::Dotenv, "API_KEY=your-api-key\nDB_PASSWORD=postgres", "API_KEY=your-api-key\nDB_PASSWORD=postgres");
    check(Format::Dotenv, "STRIPE=sk_live_0123456789abcdefgh", "STRIPE=«STRIPE»");
    check(Format::Dotenv, "# my (ghp_0123456789abcdefghijklmnopqrstuvwxyz)\nA=b", "# my («byte 6»)\nA=b");
    check(Format::Dotenv, "A_KEY=abcdefgh12\nB=x-abcdefgh12-y", "A_KEY=«A_KEY»\nB=x-«A_KEY»-y");
    check(
        Format::Dotenv,
        "COMMIT_SHA=0123456789abcdef0123456789abcdef01234567",
        "COMMIT_SHA=0123456789abcdef0123456789abcdef01234567",
    );
    check(Format::Dotenv, "SESSION=8f14e45fceea167a5a36dedd4bea2543", "SESSION=«SESSION»");
    check(Format::Dotenv, "A_SECRET=\"never closed\nB=1", "hidden");
    check(Format::Dotenv, "AUTH_KEY_PATH=./keys/auth.pem", "AUTH_KEY_PATH=./keys/auth.pem");
    check(Format::Dotenv, "A_TOKEN: abcdefg\n", "A_TOKEN: «A_TOKEN»\n");
    check(Format::Dotenv, "COOKIE_NAME=sid\nTOKEN_TYPE=opaque", "COOKIE_NAME=sid\nTOKEN_TYPE=opaque");
    check(Format::Dotenv, "APP_KEY=base64:q83vEjRWeJA=", "APP_KEY=base64:«APP_KEY»");
}

#[test]
fn ini_and_npmrc() {
    check(
        Format::Ini,
        "[default]\naws_access_key_id = AKIAABCDEFGHIJ234567\naws_secret_access_key=ab/cd+EF ; x\nregion = eu-west-1\n",
        "[default]\naws_access_key_id = «default.aws_access_key_id»\naws_secret_access_key=«default.aws_secret_access_key» ; x\nregion = eu-west-1\n",
    );
    check(
        Format::Ini,
        "[remote \"origin\"]\n\turl = https://me:tokentoken@github.com/a/b\n[url \"https://x:sesame99@h/\"]\n",
        "[remote \"origin\"]\n\turl = https://me:«remote \"origin\".url»@github.com/a/b\n[url \"https://x:«section»@h/\"]\n",
    );
    check(
        Format::Ini,
        "[http \"https://github.com/\"]\n\textraheader = AUTHORIZATION: basic dXNlcjpwYXNzd29yZDE=\n",
        "[http \"https://github.com/\"]\n\textraheader = AUTHORIZATION: basic «http \"https://github.com/\".extraheader»\n",
    );
    check(
        Format::Npmrc,
        "registry=https://registry.example.com/\n//registry.example.com/:_authToken=npm_abcdefgh\n//b.example/:_authToken=${NPM_TOKEN}\n",
        "registry=https://registry.example.com/\n//registry.example.com/:_authToken=«//registry.example.com/:_authToken»\n//b.example/:_authToken=${NPM_TOKEN}\n",
    );
    check(
        Format::Ini,
        "[pypi]\nusername = __token__\npassword = pypi-Ag",
        "[pypi]\nusername = __token__\npassword = «pypi.password»",
    );
}

#[test]
fn netrc_urls_pgpass() {
    check(
        Format::Netrc,
        "machine a.example login me password pw\nmachine b.example\n  login x\n  password \"p w\"\ndefault login anonymous password me@",
        "machine a.example login me password «a.example»\nmachine b.example\n  login x\n  password \"«b.example»\"\ndefault login anonymous password «default»",
    );
    check(
        Format::Urls,
        "https://me:pass%20word@h.example\nhttps://h.example\n",
        "https://me:«h.example»@h.example\nhttps://h.example\n",
    );
    check(Format::Pgpass, "h:5432:db:u:p\\:w\n# x\n", "h:5432:db:u:«h»\n# x\n");
    check(Format::Whole, "hvs.abc\n", "«value»\n");
}

#[test]
fn trees() {
    check(
        Format::Json,
        r#"{"auths": {"ghcr.io": {"auth": "dXNlcjpwYXNz", "email": "a@b"}}, "credsStore": "x"}"#,
        r#"{"auths": {"ghcr.io": {"auth": "«/auths/ghcr.io/auth»", "email": "a@b"}}, "credsStore": "x"}"#,
    );
    check(
        Format::Json,
        r#"{"client_id": "1-a.apps.example.com", "client_secret": "d-FL95Q19q7MQmFpd7hHD0Ty", "refresh_token": "1//0a\"b", "type": "authorized_user"}"#,
        r#"{"client_id": "1-a.apps.example.com", "client_secret": "«/client_secret»", "refresh_token": "«/refresh_token»", "type": "authorized_user"}"#,
    );
    check(Format::Json, "{\"token\": ", "hidden");
    check(
        Format::Yaml,
        "users:\n- name: u\n  user:\n    token: abc.def # t\n    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUM5\n    client-key-data: LS0t\nclusters: []\n",
        "users:\n- name: u\n  user:\n    token: «users.user.token» # t\n    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUM5\n    client-key-data: «users.user.client-key-data»\nclusters: []\n",
    );
    check(Format::Yaml, "user: {token: abc}\n", "hidden");
    check(Format::Yaml, "token: |\n  abc\n", "hidden");
    check(
        Format::Toml,
        "[registry]\ntoken = \"abcdef\" # t\n[registries.b]\ntoken = 'x\\y'\ncredential-provider = [\"a\"]\n",
        "[registry]\ntoken = \"«registry.token»\" # t\n[registries.b]\ntoken = '«registries.b.token»'\ncredential-provider = [\"a\"]\n",
    );
}

#[test]
fn keys_are_hidden() {
    check(Format::Pem, "-----BEGIN EC PRIVATE KEY-----\n", "hidden");
    check(Format::Pem, "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n");
    check(Format::Ini, "[a]\nx = -----BEGIN PRIVATE KEY-----\n y\n", "hidden");
}

#[test]
fn a_value_is_selected_by_its_name() {
    let get = |format, text: &str, name| {
        select(format, text.as_bytes(), name).map(|value| String::from_utf8(value.to_vec()).unwrap())
    };
    assert_eq!(get(Format::Dotenv, "A=1\nA=2\nB=\"x\\\"y\"", "A").as_deref(), Some("2"));
    assert_eq!(get(Format::Dotenv, "B=\"x\\\"y\"", "B").as_deref(), Some("x\"y"));
    assert_eq!(get(Format::Json, r#"{"a": {"b/c": "é"}}"#, "/a/b~1c").as_deref(), Some("é"));
    assert_eq!(get(Format::Ini, "[s]\nk = v", "s.k").as_deref(), Some("v"));
    assert_eq!(get(Format::Dotenv, "A=1", "B"), None);
    assert_eq!(get(Format::Dotenv, "A=https://u:p%20w9@h/x", "A").as_deref(), Some("p w9"));
    assert_eq!(get(Format::Urls, "https://u:pw99@h.example\n", "h.example").as_deref(), Some("pw99"));
    assert_eq!(get(Format::Dotenv, "A=https://h/x", "A").as_deref(), Some("https://h/x"));
}

#[test]
fn what_is_written_is_read() {
    for (writing, expected) in [
        (Writing::Plain, "a\"b$c/é"),
        (Writing::Quoted, "a\\\"b\\$c/é"),
        (Writing::Json, "a\\\"b$c/é"),
        (Writing::Percent, "a%22b%24c%2F%C3%A9"),
        (Writing::Base64, "YSJiJGMvw6k="),
        (Writing::Basic("u".into()), "dTphImIkYy/DqQ=="),
    ] {
        assert_eq!(writing.write("a\"b$c/é"), expected);
    }
}

/// Pieces that files are made of, so that something is found in most.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ \t]{0,2}",
        Just("\n".to_owned()),
        Just("\"".to_owned()),
        Just("'".to_owned()),
        Just("= ".to_owned()),
        Just(": ".to_owned()),
        Just(" # ".to_owned()),
        Just("{\"token\": \"abc12345\"}".to_owned()),
        Just("password secret99x".to_owned()),
        Just("machine h.example ".to_owned()),
        Just("https://u:pw9%20@h/".to_owned()),
        Just("ghp_0123456789abcdefghijkl".to_owned()),
        "(API_KEY|token|_auth|A)",
        "[a-zA-Z0-9é\\\\/+]{1,12}",
        Just("\r\n[s]\n".to_owned()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn only_secrets_change(text in text(), which in 0..FORMATS.len()) {
        invariants::hold(FORMATS[which], text.as_bytes());
    }

    #[test]
    fn anything_is_read(text in "(?s)([=:'\"{}\\[\\]#\\\\@/ \n]|[a-zé]{1,3}|token|://){0,40}", which in 0..FORMATS.len()) {
        invariants::hold(FORMATS[which], text.as_bytes());
    }

    /// What stands in a file is read as it was written, and so is what takes its place, whatever characters are in it.
    #[test]
    fn what_takes_a_place_is_read_back(first in "[!-~]{8,40}", second in "[!-~é ]{8,40}", which in 0..WRITTEN.len()) {
        let (format, before, writing, after) = &WRITTEN[which];
        // Not `<placeholder>`, a number, a URL.
        prop_assume!(shape::judge("token", &first) == shape::Verdict::Secret);
        let text = format!("{before}{}{after}", writing.write(&first));
        let Found::Secrets(secrets) = find(*format, text.as_bytes()) else { return Err(TestCaseError::fail(text)) };
        let is_first = |secret: &&Entry| *secret.value == *first.as_bytes();
        prop_assert!(secrets.iter().any(|secret| is_first(&secret)), "{}", text);
        let written = rewrite(text.as_bytes(), &secrets, |_| second.clone());
        let read = entries(*format, &written).expect("still of this format");
        let holds = |entry: &Entry| {
            let whole = String::from_utf8_lossy(&entry.value).into_owned();
            whole == second || whole.contains(&Writing::Percent.write(&second))
        };
        prop_assert!(read.iter().any(holds), "{}", String::from_utf8_lossy(&written));
    }
}

/// A place of each kind, and what stands around it.
const WRITTEN: &[(Format, &str, Writing, &str)] = &[
    (Format::Dotenv, "A=1\nAPI_KEY=\"", Writing::Quoted, "\" # x\nB=2\n"),
    (Format::Dotenv, "DATABASE_URL=postgres://u:", Writing::Percent, "@h/d\n"),
    (Format::Json, "{\"token\": \"", Writing::Json, "\"}"),
    (Format::Toml, "[a]\ntoken = \"", Writing::Json, "\" # x\n"),
    (Format::Npmrc, "//h.example/:_password=", Writing::Base64, "\n"),
    (Format::Urls, "https://u:", Writing::Percent, "@h.example\n"),
];
