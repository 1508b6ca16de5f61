//! Through the proxy behind which the host itself sits. It resolves the names, so what is vetted is what we can see of them.

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use standin_model::{Authority, Bypass, ParentProtocol, ParentProxy};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;

/// A parent proxy, with what it takes to use it.
pub struct Parent {
    proxy: ParentProxy,
    password: Option<String>,
    bypass: Bypass,
}

/// Why a parent did not open a tunnel.
pub(crate) type ParentError = Box<dyn std::error::Error + Send + Sync>;

impl Parent {
    /// A proxy, the password for its user, and the hosts that are reached without it.
    pub fn new(proxy: ParentProxy, password: Option<String>, bypass: Bypass) -> Self {
        Self { proxy, password, bypass }
    }

    /// Where it is.
    pub fn authority(&self) -> &Authority {
        &self.proxy.authority
    }

    /// Whether it is asked for this destination.
    pub(crate) fn serves(&self, destination: &Authority) -> bool {
        !self.bypass.covers(&destination.host)
    }

    /// Asks for a tunnel over a connection to it.
    pub(crate) async fn tunnel(&self, socket: TcpStream, to: &Authority) -> Result<TcpStream, ParentError> {
        let there = Connected(Some(TokioIo::new(socket)));
        let to: Uri = Uri::builder().scheme("https").authority(to.to_string()).path_and_query("/").build()?;
        let password = || self.password.clone().unwrap_or_default();
        let socket = match (self.proxy.protocol, &self.proxy.user) {
            (ParentProtocol::Http, None) => Tunnel::new(Uri::default(), there).call(to).await?,
            (ParentProtocol::Http, Some(user)) => {
                let login = HeaderValue::from_str(&basic(user, &password()))?;
                Tunnel::new(Uri::default(), there).with_auth(login).call(to).await?
            }
            (ParentProtocol::Socks5, None) => SocksV5::new(Uri::default(), there).call(to).await?,
            (ParentProtocol::Socks5, Some(user)) => {
                SocksV5::new(Uri::default(), there).with_auth(user.clone(), password()).call(to).await?
            }
        };
        Ok(socket.into_inner())
    }
}

/// RFC 7617 §2.
fn basic(user: &str, password: &str) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// A connection that is there already, in the form in which the library wants one made.
struct Connected(Option<TokioIo<TcpStream>>);

impl Service<Uri> for Connected {
    type Response = TokioIo<TcpStream>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(Ok(self.0.take().expect("each connection is used for one tunnel")))
    }
}
