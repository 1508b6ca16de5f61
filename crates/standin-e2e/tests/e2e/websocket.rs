//! WebSockets of real clients, through the sandbox. The origin says what it was opened with, then every message back.

use standin_e2e::{ECHO_KEY, Outcome, Rig, clients};

/// A grant of the key in the header and in text messages.
const CONFIG: &str = r#"
[[credential]]
name   = "ECHO"
source = "env:ECHO"
env    = ["ECHO"]
[[credential.grant]]
hosts  = ["echo.example", "only-http2.example"]
slots  = ["header:authorization", "websocket"]
"#;

/// Runs a script in the sandbox that talks to the origin, and gives what it printed with the stand-in as `STANDIN`.
fn talk(script: &str) -> (Outcome, String) {
    let clients = clients();
    let rig = Rig::new(&["echo.example", "only-http2.example", "other.example"]).variable("ECHO", ECHO_KEY);
    // On the host, where the agent does not write.
    let config = rig.workspace().parent().expect("a workspace lies in the rig's directory").join("config.toml");
    std::fs::write(&config, CONFIG).expect("a fresh directory");
    let config = config.to_str().expect("a path of text").to_owned();
    let script = format!("export PYTHONPATH={clients}/python\n{script}\necho \"stand-in:$ECHO\"");
    let rig = rig.with(&["--ro", &clients, "--config", &config, "--allow", "other.example"]);
    let outcome = rig.script(&script).succeeded();
    let (said, stand_in) = outcome.stdout.rsplit_once("stand-in:").expect("the last line");
    let said = said.replace(stand_in.trim(), "STANDIN");
    (outcome, said)
}

fn origin_heard(outcome: &Outcome) -> Vec<&str> {
    outcome.seen.iter().filter(|seen| seen.method == "MESSAGE").map(|seen| seen.body.as_str()).collect()
}

/// Python's `websockets`, which offers compression of its own accord.
#[test]
fn python_websockets() {
    let (outcome, said) = talk(
        "/usr/bin/python3 - <<'END'
import os
from websockets.sync.client import connect
key = os.environ['ECHO']
with connect('wss://echo.example/socket', additional_headers={'Authorization': 'Bearer ' + key}) as socket:
    print(socket.recv())
    for message in ['hello', key, 'a key: %s.' % key, 'word ' * 20000, b'bytes']:
        socket.send(message)
        echo = socket.recv()
        print(echo == message, socket.ping().wait(60))
    socket.send([key[:9], key[9:]])
    print(socket.recv() == key)
print(socket.protocol.close_code)
END",
    );
    assert_eq!(
        said,
        format!("opened with Bearer STANDIN\n{}True\n1000\n", "True True\n".repeat(5)),
        "{}",
        outcome.stderr
    );
    let asked = outcome.seen[0].header("sec-websocket-extensions");
    assert_eq!(asked, Some("permessage-deflate"), "it is offered, and in our words");
    let sentence = format!("a key: {ECHO_KEY}.");
    let heard = origin_heard(&outcome);
    assert_eq!(heard.len(), 5, "{heard:?}");
    assert_eq!((heard[0], heard[1], heard[2], heard[4]), ("hello", ECHO_KEY, sentence.as_str(), ECHO_KEY));
    assert!(outcome.log.contains("\"protocol\":\"websocket\""), "{}", outcome.log);
    assert!(outcome.log.contains("closed by the client: 1000"), "{}", outcome.log);
}

/// aiohttp, told to offer compression.
#[test]
fn aiohttp() {
    let (outcome, said) = talk(
        "/usr/bin/python3 - <<'END'
import aiohttp, asyncio, os
key = os.environ['ECHO']
async def main():
    headers = {'Authorization': 'Bearer ' + key}
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect('wss://echo.example/socket', compress=12, headers=headers) as socket:
            print((await socket.receive()).data)
            for text in ['hello', 'key=' + key]:
                await socket.send_str(text)
                print((await socket.receive()).data)
asyncio.run(main())
END",
    );
    assert_eq!(said, "opened with Bearer STANDIN\nhello\nkey=STANDIN\n", "{}", outcome.stderr);
    assert_eq!(origin_heard(&outcome), ["hello", &format!("key={ECHO_KEY}")]);
}

/// What Node has built in, and browsers alike: a WebSocket without fields of its own, so the key goes in a message.
#[test]
fn node() {
    let (outcome, said) = talk(
        "cat > talk.mjs <<'END'
const socket = new WebSocket('wss://echo.example/socket');
const replies = [];
socket.onmessage = ({ data }) => {
    replies.push(data);
    if (replies.length === 1) socket.send(JSON.stringify({ auth: process.env.ECHO }));
    else socket.close(1000, 'done');
};
socket.onclose = ({ code }) => console.log(replies.join('|'), code);
END
node --experimental-websocket --no-warnings talk.mjs",
    );
    assert_eq!(said, "opened with nothing|{\"auth\":\"STANDIN\"} 1000\n", "{}", outcome.stderr);
    assert_eq!(origin_heard(&outcome), [format!("{{\"auth\":\"{ECHO_KEY}\"}}")]);
}

/// In a stream of HTTP/2 (RFC 8441), by Node's HTTP/2: frames by hand, the stand-in cut in two of them. The origin has an
/// upgrade of HTTP/1.1, or nothing but such a stream.
#[test]
fn a_stream_of_http2() {
    for (host, method) in [("echo.example", "GET"), ("only-http2.example", "CONNECT")] {
        let (outcome, said) = talk(&IN_A_STREAM.replace("HOST", host));
        assert_eq!(said, "true 200\nopened with Bearer STANDIN|STANDIN| 1000\n", "{}", outcome.stderr);
        assert_eq!(origin_heard(&outcome), [ECHO_KEY]);
        assert_eq!(outcome.seen[0].method, method);
        assert!(outcome.log.contains("\"method\":\"CONNECT\""), "{}", outcome.log);
    }
}

const IN_A_STREAM: &str = "cat > talk.mjs <<'END'
import http2 from 'node:http2';
const frame = (first, text) => {
    const payload = Buffer.from(text), mask = Buffer.from([1, 2, 3, 4]);
    return Buffer.concat([Buffer.from([first, 0x80 | payload.length]), mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
};
const session = http2.connect('https://HOST');
session.once('remoteSettings', ({ enableConnectProtocol }) => {
    const stream = session.request({
        ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/socket',
        authorization: 'Bearer ' + process.env.ECHO, 'sec-websocket-version': '13',
    });
    let got = Buffer.alloc(0), texts = [];
    stream.on('response', (fields) => console.log(enableConnectProtocol, fields[':status']));
    stream.on('data', (data) => {
        got = Buffer.concat([got, data]);
        while (got.length > 1 && got.length >= 2 + (got[1] & 127)) {
            const [first, length] = got, payload = got.subarray(2, 2 + length);
            got = got.subarray(2 + length);
            if (first === 0x88) { console.log(texts.join(''), payload.readUInt16BE()); stream.end(); continue; }
            texts.push(payload.toString() + (first & 0x80 ? '|' : ''));
            if (texts.join('').split('|').length === 2 && first & 0x80) {
                stream.write(frame(1, process.env.ECHO.slice(0, 9)));
                stream.write(frame(0x80, process.env.ECHO.slice(9)));
            } else if (first & 0x80) stream.write(frame(0x88, Buffer.from([3, 232])));
        }
    });
    stream.on('close', () => session.close());
});
END
node talk.mjs";

/// A client that knows nothing of HTTP/2, at an origin that has nothing else.
#[test]
fn python_websockets_at_an_origin_without_http1() {
    let (outcome, said) = talk(
        "/usr/bin/python3 - <<'END'
import os
from websockets.sync.client import connect
key = os.environ['ECHO']
with connect('wss://only-http2.example/socket', additional_headers={'Authorization': 'Bearer ' + key}) as socket:
    print(socket.recv())
    for message in ['hello', 'a key: ' + key, 'word ' * 20000]:
        socket.send(message)
        print(socket.recv() == message)
print(socket.protocol.close_code)
END",
    );
    assert_eq!(said, "opened with Bearer STANDIN\nTrue\nTrue\nTrue\n1000\n", "{}", outcome.stderr);
    assert_eq!(origin_heard(&outcome)[..2], ["hello", &format!("a key: {ECHO_KEY}")]);
    assert_eq!((outcome.seen[0].method.as_str(), outcome.seen[0].version.as_str()), ("CONNECT", "HTTP/2.0"));
}

/// At a host for which the stand-in is not good, the client is told, and the origin hears nothing of it.
#[test]
fn a_stand_in_goes_to_no_other_host() {
    let (outcome, said) = talk(
        "/usr/bin/python3 - <<'END'
import os
from websockets.sync.client import connect
from websockets.exceptions import ConnectionClosed
with connect('wss://other.example/socket') as socket:
    print(socket.recv())
    socket.send('hello')
    print(socket.recv())
    socket.send('my key is ' + os.environ['ECHO'])
    try:
        print(socket.recv())
    except ConnectionClosed as closed:
        print(closed.rcvd.code, closed.rcvd.reason[:40])
END",
    );
    assert_eq!(
        said, "opened with nothing\nhello\n1008 Standin: credential.wrong_destination: t\n",
        "{}",
        outcome.stderr
    );
    assert_eq!(origin_heard(&outcome), ["hello"]);
    assert!(outcome.log.contains("credential.wrong_destination"), "{}", outcome.log);
}
