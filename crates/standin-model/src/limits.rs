//! Every bound on a buffer, queue, cache or wait, with its unit and its reason.

use std::time::Duration;

/// Connections that one session may have open at once. A browser opens a few hundred; a fork bomb of
/// connectors must not exhaust the host's file descriptors (soft limit usually 1,024 to 524,288).
pub const MAX_CONNECTIONS: usize = 2_048;

/// Connections to published ports that may be open at once: a browser opens six a page and keeps some of them.
pub const MAX_PUBLISHED: usize = 512;

/// Time from accept until the first byte, and from there until the TLS handshake or request head is whole.
/// Long enough for a client that opens connections ahead of need.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(60);

/// Most bytes of a refused client that are read away so that it hears the answer: a connection that is closed, or a stream
/// that is reset, under what its client still sends can take the answer along. Covers what nobody sends without waiting.
pub const UNREAD_BYTES: u64 = 1024 * 1024;

/// Time without a byte after which nothing is under way any more.
pub const UNREAD_IDLE: Duration = Duration::from_secs(1);

/// Time for all of it, and for a handshake before it.
pub const UNREAD_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes looked at to tell TLS from HTTP.
pub const SNIFF_BYTES: usize = 16;

/// Largest request or response head, in bytes. Clients with 60 KiB of cookies exist; nobody needs more.
pub const MAX_HEAD_BYTES: usize = 128 * 1024;

/// Time from accept until an SSH client has asked for something, and from its answer's end until it asks for more: nobody types there.
pub const SSH_IDLE: Duration = Duration::from_secs(60);

/// Time for an SSH client to hear how its command or its connection ended.
pub const SSH_FAREWELL: Duration = Duration::from_secs(5);

/// Time to exchange keys with an SSH server, and to authenticate there. Its user may have to touch a key or unlock an agent.
pub const SSH_DEADLINE: Duration = Duration::from_secs(60);

/// Time for a PostgreSQL server to say yes or no: it may have to be woken up.
pub const POSTGRES_DEADLINE: Duration = Duration::from_secs(60);

/// Time for the name look-up of one connection.
pub const RESOLVE_DEADLINE: Duration = Duration::from_secs(10);

/// Time for the look-up that only vets, where a parent proxy makes the one that counts. Behind such a proxy often nothing
/// answers, and every connection would wait.
pub const VET_DEADLINE: Duration = Duration::from_secs(2);

/// Time for TCP and TLS to one upstream address.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(15);

/// Time that an idle upstream connection is kept for the next exchange. Below the 60 s at which common
/// load balancers hang up.
pub const POOL_IDLE: Duration = Duration::from_secs(50);

/// Idle upstream connections kept for one authority, of each version of HTTP.
pub const POOL_IDLE_PER_AUTHORITY: usize = 64;

/// Leaves kept by the session CA, one per host name. A leaf takes about 2 KiB.
pub const LEAF_CACHE: usize = 4_096;

/// Names to which a fake address was given in one session; then DNS answers SERVFAIL.
pub const MAX_FAKE_ADDRESSES: usize = 65_536;

/// Exchanges that one session may have open at once; the next one is refused. Sixteen HTTP/2 connections with all their
/// streams, of which no client has a use; each holds room for its record, some buffers, and often a connection to an origin.
pub const MAX_EXCHANGES: usize = 4_096;

/// Records waiting for the audit writer. Past this, exchanges wait (back-pressure, never loss): a transaction takes
/// milliseconds, and this is what is refused or done during a hundred of them.
pub const AUDIT_BACKLOG: usize = 2_048;

/// Room for records: of each open connection, until it asks for something, of each open exchange, and of those that are
/// over. What clients leave open takes none of the last, so nobody waits for a client. Half a KiB each when in use.
pub const AUDIT_QUEUE: usize = MAX_CONNECTIONS + MAX_EXCHANGES + AUDIT_BACKLOG;

/// Records in one transaction of the audit writer.
pub const AUDIT_BATCH: usize = 500;

/// Time between two transactions of the audit writer. Without it every exchange would be a transaction of its own, a
/// fifth of the proxy's work; with it a reader sees a record this much later.
pub const AUDIT_PAUSE: Duration = Duration::from_millis(10);

/// Concurrent streams one HTTP/2 client may open (RFC 9113 §5.1.2). nginx and hyper: 100 to 200.
pub const MAX_H2_STREAMS: u32 = 250;

/// Streams that an HTTP/2 client may have reset before we looked at them; then its connection is ended (CVE-2023-44487).
/// Clients cancel a request that runs, not one that they have just sent; the library's own value.
pub const H2_UNSEEN_RESETS: usize = 20;

/// Streams that we may have to reset for the other side's errors while an HTTP/2 connection lives; then it is ended
/// (CVE-2025-8671). Neither clients nor origins err often, and a connection may live for hours; the library's own value.
pub const H2_ERRORS: usize = 1_024;

/// HTTP/2 flow-control window per stream, in bytes: holds 100 MB/s at 10 ms.
pub const H2_STREAM_WINDOW: u32 = 1024 * 1024;

/// HTTP/2 flow-control window per connection of a client, in bytes.
pub const H2_CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Bytes read at once from either side of a WebSocket. Messages up to here go on in one frame if they came in one.
pub const WEBSOCKET_CHUNK: usize = 64 * 1024;

/// Longest text message of a WebSocket in which a stand-in is exchanged, in bytes: it is gathered first. Login and
/// subscription messages have a few hundred.
pub const MAX_WEBSOCKET_INJECTION: usize = 1024 * 1024;

/// Longest body in which a stand-in is exchanged, in bytes. It is gathered whole first, so that nothing has gone out when it
/// turns out to be ambiguous. Token requests have a kilobyte; some APIs take their key beside a few images.
pub const MAX_BODY_INJECTION: usize = 8 * 1024 * 1024;

/// Longest body that a rule is asked about, in bytes. What is longer cannot be told, so no rule that asks allows it.
pub const MAX_FACTS: usize = 1024 * 1024;

/// Time for what a rule asks of a body to be there. It takes up room that others wait for.
pub const AHEAD_DEADLINE: Duration = Duration::from_secs(30);

/// Longest list of refs of a push that a rule is asked about, in bytes: some two thousand.
pub const MAX_PUSH: usize = 256 * 1024;

/// Longest body that publishes a package and that a rule is asked about, in bytes: npm sends a package in base64, and most have less.
pub const MAX_PUBLISH: usize = 8 * 1024 * 1024;

/// Longest text of GraphQL that a rule is asked about, in bytes, that of all operations of a batch together. GitHub's own client sends
/// some kilobytes, and parsing this much takes a few milliseconds.
pub const MAX_GRAPHQL: usize = 64 * 1024;

/// Bytes of such bodies that one session may hold at once; the next body is refused.
pub const MAX_GATHERED_BYTES: usize = 64 * 1024 * 1024;

/// Longest answer of a token endpoint, in bytes. JWTs with many claims have some ten thousand.
pub const MAX_TOKEN_ANSWER: usize = 256 * 1024;

/// Time for the head of a token endpoint's answer, and again for the rest of it. Others wait meanwhile, and clients take a
/// lock that is a minute old for one that was left behind.
pub const TOKEN_DEADLINE: Duration = Duration::from_secs(20);

/// Exchanges of tokens that one session may have under way; further ones wait. They go on without their clients, since a
/// token that was used must not be lost.
pub const MAX_TOKEN_EXCHANGES: usize = 16;

/// Time that exchanges of tokens are given to end after the sandboxed command has exited.
pub const SETTLING_DEADLINE: Duration = Duration::from_secs(20);

/// Time from the first close of a WebSocket until the other side has closed too (RFC 6455 §7.1.1). What is under way
/// passes meanwhile.
pub const WEBSOCKET_CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// Streams on one upstream HTTP/2 connection before a further one is opened. Few enough that their windows together
/// are a bound on memory, and more than a client's usual six or ten at a time.
pub const H2_UPSTREAM_STREAMS: u32 = 32;

/// HTTP/2 flow-control window per upstream connection, in bytes: every stream's window at once, so that downloads which
/// their clients do not read leave room for the others.
pub const H2_UPSTREAM_CONNECTION_WINDOW: u32 = H2_UPSTREAM_STREAMS * H2_STREAM_WINDOW;

/// Silence on an upstream HTTP/2 connection with open streams after which it is pinged (RFC 9113 §6.7). Long enough that
/// a stream of events with heartbeats never sees one, short enough that a dead connection is found before a person gives up.
pub const H2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// Time for the answer to that ping. A round trip takes a second on the worst of links.
pub const H2_PING_DEADLINE: Duration = Duration::from_secs(15);

/// Silence on any upstream connection after which the kernel asks whether the other end is still there, and the pause
/// between two such questions (RFC 9293 §3.8.4). Keeps the entries of address translators alive, too.
pub const TCP_PROBE_INTERVAL: Duration = Duration::from_secs(30);

/// Unanswered questions after which an upstream connection is given up.
pub const TCP_PROBES: u32 = 4;

/// Time for the head of an answer, from the last byte of the request that went out. A model may think for minutes, and
/// the usual SDKs give up after ten: theirs comes first, and this is for clients that never do.
pub const RESPONSE_HEAD_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// Answers in content codings that one session may have open at once. Package managers fetch some 50 at a time; each
/// may take a window of 16 MiB, though it usually takes a hundredth of that.
pub const MAX_DECODERS: usize = 256;

/// Coded chunks of an answer that may wait, while what they decode to so far may be the beginning of a secret. One or two
/// do; only who means to fill our memory sends many that decode to nothing.
pub const MAX_WATCHED_CHUNKS: usize = 64;

/// Longest path with query, method or detail kept in a record, in bytes; what is longer is cut and marked.
pub const MAX_RECORDED_TARGET: usize = 2_048;

/// Output of a `cmd:` source, in bytes, and the most a secret may have.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Time after a source of credentials failed in which it is not asked again while a session runs. What is inside chooses when
/// requests are made, and a password manager that asks its owner each time must not be made to ask on and on.
pub const SOURCE_PAUSE: Duration = Duration::from_secs(10);

/// Time for a `cmd:` source to answer. A password manager may ask its owner for a touch.
pub const SOURCE_DEADLINE: Duration = Duration::from_secs(60);

/// Time in which a connection of our own, to see that a new policy refuses it, has to be answered. It never leaves the process.
pub const GATE_DEADLINE: Duration = Duration::from_secs(5);

/// Time that open exchanges are given to end after the sandboxed command has exited.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(2);
