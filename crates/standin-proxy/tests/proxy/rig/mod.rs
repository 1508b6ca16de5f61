//! A session of the proxy between a client and an origin that the test plays.

mod http;
mod origin;
mod replace;
mod wire;

pub use self::http::{Asker, Body, Bytes, V, body, collect, empty, ended, full, get, text};
pub use self::origin::{Origin, Seen};
pub use self::wire::Wire;

use ipnet::IpNet;
use standin_audit::{Assurance, AuditLog, AuditReader, RecordRow, SessionStart};
use standin_ca::SessionCa;

use standin_model::{
    AddressBlocks, Condition, CredentialName, GrantRule, Host, HostPattern, Methods, Name, OnLeak, PathPattern, Ports,
    RequestRule, SessionCaps, SessionId, Slot,
};
use standin_net::{Identity, LookUp, Parent, Pings, Resolver, Trust, Upstreams};
use standin_policy::PolicyBuilder;
use standin_proxy::{AlarmParts, Session, SessionParts, TokenKeeper};
use standin_secret::{Secret, StandIn};
use standin_vault::supply::Supplied;
use standin_vault::{Credential, SessionVault, SigningKey};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;

/// What goes out. Shares nothing with its stand-in beyond the first three characters.
pub const SECRET: &str = "sk-Real0Zq8Yw7Xv6Ut5Sr4Pn3Mk2Jh1Gf";
/// What the client holds: as long as the secret.
pub const STAND_IN: &str = "sk-Fake9aLbKcJdIeHfGgFhEiDjCkBlAm1";
/// What goes out for a second credential.
pub const RIVAL: &str = "sk-RIVALQWERTYUIOPASDFGHJKLZXCVBN";
/// A key's name as it is, and as it is told.
pub const KEY: (&str, &str) = ("AKIAREALREALREALREA2", "AKIASTANDINSTANDIN22");
/// The host at which the credential is granted.
pub const API: &str = "api.test";
/// A host that is allowed, without a grant.
pub const OPEN: &str = "open.test";
/// A host at which the credential is granted for `/granted`, and everything else is allowed without it.
pub const BOTH: &str = "both.test";
/// A test that waits longer than this hangs: nothing here takes a second.
const HUNG: Duration = Duration::from_secs(30);

/// How a world differs from the usual one.
pub struct Setup {
    /// What goes out: begins as [`SECRET`] does, so that it is found.
    pub secret: &'static str,
    /// What the client holds.
    pub stand_in: &'static str,
    /// The answers of the resolver, one look-up after the other; the last one stays.
    pub answers: Vec<Vec<IpAddr>>,
    /// The non-public addresses that the rules name.
    pub addresses: Vec<IpNet>,
    /// How much may be used.
    pub caps: SessionCaps,
    /// The slots of the grant at [`API`]; none means every header for credentials.
    pub slots: Vec<Slot>,
    /// What the grant at [`API`] asks of a request besides.
    pub conditions: Vec<Condition>,
    /// Whether the grant at [`API`] says `always`.
    pub always: bool,
    /// Whether a second credential, `rival`, has the same grant at [`API`]; what goes out for it is [`RIVAL`], and what the
    /// client holds is that in lower case.
    pub rival: bool,
    /// How long an origin may say nothing, if not as long as usual.
    pub patience: Option<Duration>,
    /// When connections to origins are pinged, if not at the usual times.
    pub pings: Option<Pings>,
    /// A proxy behind which the host sits.
    pub parent: Option<Parent>,
    /// Whether the host's roots are believed besides the origin's.
    pub believes_host: bool,
    /// The client certificate of the credential.
    pub identity: Option<Identity>,
    /// Whether a model is told what is sent to [`API`] and [`OPEN`].
    pub conversation: bool,
    /// Who keeps the login whose tokens are exchanged at [`API`]'s `/oauth/token`, if any are.
    pub keeper: Option<Arc<dyn TokenKeeper>>,
    /// Whether the secret is one that requests to AWS are signed with, whose key is [`KEY`].
    pub signs: bool,
    /// Where the credential is fetched from on use.
    pub supplied: Option<Supplied>,
    /// What is done about stand-ins that go astray.
    pub alarm: AlarmParts,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            secret: SECRET,
            stand_in: STAND_IN,
            answers: vec![vec![Ipv4Addr::LOCALHOST.into()]],
            addresses: vec!["127.0.0.0/8".parse().unwrap()],
            caps: SessionCaps::default(),
            slots: vec![],
            conditions: vec![],
            always: false,
            rival: false,
            patience: None,
            pings: None,
            parent: None,
            believes_host: false,
            identity: None,
            conversation: false,
            keeper: None,
            signs: false,
            supplied: None,
            // Nobody listens.
            alarm: AlarmParts { each: HashMap::new(), others: OnLeak::Refuse, told: unbounded_channel().0 },
        }
    }
}

/// One session and its surroundings.
pub struct World {
    /// The test's origin: every name leads to it.
    pub origin: Origin,
    /// Names the resolver was asked for.
    pub looked_up: Arc<Mutex<Vec<String>>>,
    session: Arc<Session>,
    proxy: SocketAddr,
    trusted: Arc<rustls::RootCertStore>,
    directory: tempfile::TempDir,
    log: AuditLog,
    runtime: ProxyRuntime,
    end: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let origin = Origin::listen().await;
        let id = SessionId::new("s");
        let assurance = Assurance::default();
        let start = SessionStart { id: id.clone(), command: "test".into(), workspace: "/w".into(), assurance };
        let log = AuditLog::start(directory.path().to_owned(), start).unwrap();
        let ca = SessionCa::generate(SystemTime::now()).unwrap();
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add(ca.certificate_der().to_vec().into()).unwrap();
        let looked_up = Arc::default();
        let resolver =
            Scripted { answers: Mutex::new(setup.answers.clone().into()), looked_up: Arc::clone(&looked_up) };
        let root = vec![origin.root()];
        let trust = if setup.believes_host { Trust::HostAnd(root) } else { Trust::Roots(root) };
        let mut upstreams = Upstreams::with_resolver(trust, Box::new(resolver));
        let (policy, vault) = (policy(origin.port(), &setup).build(), vault(&setup));
        if let Some(patience) = setup.patience {
            upstreams = upstreams.with_patience(patience);
        }
        if let Some(pings) = setup.pings {
            upstreams = upstreams.with_pings(pings);
        }
        upstreams =
            upstreams.with_identities(setup.identity.map(|it| (CredentialName::new("key"), it)).into_iter().collect());
        if let Some(parent) = setup.parent {
            upstreams = upstreams.with_parent(parent);
        }
        let session = Session::new(
            id,
            SessionParts {
                policy,
                vault,
                keeper: setup.keeper,
                ca,
                upstreams,
                ssh: None,
                audit: log.sink(),
                gateway: vec![Ipv4Addr::LOCALHOST.into()],
                caps: setup.caps.clone(),
                alarm: setup.alarm,
            },
        );
        // The proxy has a runtime of its own, as in the product: ending it ends everything it started. One thread, so
        // that connections to the origin are shared: the pool is a thread's own.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let proxy = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let serving = Arc::clone(&session);
        let workers = vec![runtime.handle().clone()];
        let served = runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            standin_proxy::serve(serving, listener, workers, async { ended.await.unwrap_or_default() }).await;
        });
        let runtime = ProxyRuntime(Some(runtime));
        Self { origin, looked_up, session, proxy, trusted: Arc::new(trusted), directory, log, runtime, end, served }
    }

    /// `host:port` as the client names it.
    pub fn authority(&self, host: &str) -> String {
        format!("{host}:{}", self.origin.port())
    }

    /// The proxy's own address, as a client names it.
    pub fn gateway(&self) -> String {
        self.proxy.to_string()
    }

    /// What a look-up in the sandbox gives.
    pub fn fake_address_of(&self, name: &str) -> Ipv4Addr {
        let Ok(Host::Name(name)) = Host::parse(name) else { panic!("a name") };
        self.session.names.address_of(&name).unwrap()
    }

    /// A connection to the proxy itself.
    pub async fn dial(&self) -> Wire {
        Wire::clear(TcpStream::connect(self.proxy).await.unwrap())
    }

    /// A tunnel in clear that carries whatever the client says next.
    pub async fn tunnel(&self, host: &str) -> Wire {
        let mut wire = self.dial().await;
        wire.send(format!("CONNECT {0} HTTP/1.1\r\nhost: {0}\r\n\r\n", self.authority(host))).await;
        assert_eq!(wire.head().await.lines().next(), Some("HTTP/1.1 200 OK"));
        wire
    }

    /// A client that speaks TLS in a tunnel and offers these protocols.
    async fn tls(&self, host: &str, alpn: &[&[u8]]) -> Wire {
        self.tls_over(self.tunnel(host).await, host, alpn).await
    }

    /// The same in a tunnel that is there.
    pub async fn tls_over(&self, tunnel: Wire, host: &str, alpn: &[&[u8]]) -> Wire {
        let mut config =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(Arc::clone(&self.trusted))
                .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = rustls::pki_types::ServerName::try_from(host.to_owned()).unwrap();
        let socket = tunnel.into_socket();
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
        Wire::tls(tls.into())
    }

    /// A client whose HTTP/1.1 the test writes byte by byte.
    pub async fn client(&self, host: &str) -> Wire {
        self.tls(host, &[b"http/1.1"]).await
    }

    /// A client that has agreed on HTTP/2 and said nothing yet.
    pub async fn client_h2(&self, host: &str) -> Wire {
        self.tls(host, &[b"h2"]).await
    }

    /// A client whose HTTP/2 the test writes frame by frame.
    pub async fn frames(&self, host: &str) -> h2::client::SendRequest<Bytes> {
        self.frames_with(host, &h2::client::Builder::new()).await
    }

    /// The same with settings of its own.
    pub async fn frames_with(&self, host: &str, settings: &h2::client::Builder) -> h2::client::SendRequest<Bytes> {
        let io = self.tls(host, &[b"h2"]).await.into_io();
        let (sender, connection) = settings.handshake(io).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        sender
    }

    /// A well-behaved client.
    pub async fn asker(&self, host: &str, version: V) -> Asker {
        let io = self.tls(host, &[version.alpn()]).await.into_io();
        Asker::new(io, version, self.authority(host)).await
    }

    /// Ends the session; the records are these, and no file of the log holds the secret.
    ///
    /// A record reads `PROTOCOL METHOD TARGET STATUS OUTCOME`, then `out N` and `in N` if a body went that way, for
    /// a refusal its code instead of the outcome, and `raw` for a connection without a request.
    pub async fn finish(self, expected: &[&str]) -> Vec<RecordRow> {
        let rows = self.end().await;
        assert_eq!(rows.iter().map(brief).collect::<Vec<_>>(), expected, "{rows:#?}");
        rows
    }

    /// Ends the session and gives the records, for tests in which not every word of them is certain.
    pub async fn end(self) -> Vec<RecordRow> {
        let Self { origin, directory, log, mut runtime, end, served, .. } = self;
        drop(origin);
        drop(end);
        served.await.unwrap();
        tokio::task::spawn_blocking(move || {
            drop(runtime.0.take());
            log.finish(Some(0)).unwrap();
        })
        .await
        .unwrap();
        let rows = AuditReader::open(directory.path()).unwrap().records("s").unwrap();
        for file in std::fs::read_dir(directory.path()).unwrap() {
            let path = file.unwrap().path();
            assert!(!holds_secret(&std::fs::read(&path).unwrap()), "{} holds the secret", path.display());
        }
        rows
    }
}

/// Runs a whole test; one that hangs fails.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(HUNG, test).await.expect("the test hangs: somebody waits for what never comes")
}

/// Whether eight characters of the secret's own part stand anywhere in `bytes`.
pub fn holds_secret(bytes: &[u8]) -> bool {
    SECRET.as_bytes()[3..].windows(8).any(|part| bytes.windows(8).any(|window| window == part))
}

/// `told` with the stand-in in place of the secret. Where a chunk ended in the middle of it, and nothing followed at
/// once, up to seven characters of the secret's own part may show: whether the proxy waited is a matter of time.
pub fn assert_scrubbed(got: &str, told: &str) {
    let mut expected = told.to_owned();
    for (at, _) in told.match_indices(SECRET) {
        let shown = got.bytes().skip(at).zip(SECRET.bytes()).take_while(|(a, b)| a == b).count().min(3 + 7);
        expected.replace_range(at + shown..at + SECRET.len(), &STAND_IN[shown..]);
    }
    assert_eq!(got, expected);
    assert!(!holds_secret(got.as_bytes()));
}

fn brief(row: &RecordRow) -> String {
    let mut words = vec![row.protocol.clone()];
    words.extend(row.method.clone());
    words.extend(row.target.clone().filter(|target| !target.is_empty()));
    words.extend(row.status.map(|status| status.to_string()));
    words.push(row.reason.clone().unwrap_or_else(|| row.outcome.clone()));
    if row.reason.is_none() {
        for (way, bytes) in [("out", row.bytes_out), ("in", row.bytes_in)] {
            if bytes > 0 {
                words.push(format!("{way} {bytes}"));
            }
        }
    }
    assert_eq!(row.reason.is_some(), row.outcome == "denied", "a refusal has a reason: {row:?}");
    words.join(" ")
}

fn policy(port: u16, setup: &Setup) -> PolicyBuilder {
    let rule = |label: &str, hosts: &[&str], paths: &[&str]| RequestRule {
        label: label.to_owned(),
        hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
        ports: Ports::new(vec![port]),
        methods: Methods::Any,
        paths: paths.iter().map(|path| PathPattern::parse(path).unwrap()).collect(),
        conditions: Vec::new(),
        addresses: AddressBlocks::new(setup.addresses.clone()),
    };
    let mut builder = PolicyBuilder::default();
    for name in ["key", "rival"].into_iter().take(1 + usize::from(setup.rival)) {
        let rule = RequestRule { conditions: setup.conditions.clone(), ..rule("api", &[API], &[]) };
        let grant = GrantRule { rule, slots: setup.slots.clone(), always: setup.always };
        builder.grant(CredentialName::new(name), grant);
    }
    let both = GrantRule { rule: rule("both", &[BOTH], &["/granted"]), slots: vec![], always: false };
    builder.grant(CredentialName::new("key"), both);
    builder.allow(rule("both-open", &[BOTH], &[]));
    builder.allow(rule("open", &[OPEN], &[]));
    if setup.conversation {
        builder.conversation(rule("model", &[API, OPEN], &[]));
    }
    if setup.signs {
        let rule = rule("aws", &["**.amazonaws.com"], &[]);
        builder.grant(CredentialName::new("key"), GrantRule { rule, slots: vec![Slot::SigV4], always: false });
    }
    if setup.keeper.is_some() {
        let exchange = RequestRule { methods: Methods::only(["POST"]), ..rule("tokens", &[API], &["/oauth/token"]) };
        builder.tokens("login", exchange);
    }
    builder.deny(rule("closed", &[API, OPEN], &["/closed"]));
    builder
}

fn vault(setup: &Setup) -> SessionVault {
    let (stand_in, rival) = (setup.stand_in.to_owned(), RIVAL.to_lowercase());
    let all = [("key", stand_in, setup.secret), ("rival", rival, RIVAL)];
    let credential = |(name, stand_in, secret): (&str, String, &str)| {
        let secret = Arc::new(Secret::new(secret.into()));
        let held = Credential::held(CredentialName::new(name), StandIn::new(stand_in), secret);
        Credential { supplied: setup.supplied.clone(), ..held }
    };
    let mut credentials: Vec<_> = all.into_iter().take(1 + usize::from(setup.rival)).map(credential).collect();
    if !setup.signs {
        return SessionVault::new(credentials);
    }
    credentials.push(credential(("key:id", KEY.1.to_owned(), KEY.0)));
    let [secret, id] = ["key", "key:id"].map(CredentialName::new);
    SessionVault::new(credentials).signing_with(vec![SigningKey { secret, id, token: None }])
}

/// The proxy's runtime. A test that fails drops it where it must not block.
struct ProxyRuntime(Option<tokio::runtime::Runtime>);

impl Drop for ProxyRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A resolver that gives its answers in turn.
struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    looked_up: Arc<Mutex<Vec<String>>>,
}

impl Resolver for Scripted {
    fn look_up<'a>(&'a self, name: &'a Name) -> LookUp<'a> {
        self.looked_up.lock().unwrap().push(name.to_string());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}
