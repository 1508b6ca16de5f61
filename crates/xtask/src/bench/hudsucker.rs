//! hudsucker, the library for intercepting proxies that is used most in Rust, with the same swap of a header and nothing else:
//! no policy, no look at what comes back, no record. It speaks HTTP/1.1 on both sides, as it does unless told otherwise.
//!
//! Its own authority draws `ring` in, so certificates are minted by ours: on a connection that is there neither is asked.

use super::origin::ready;
use super::{HOST, TOKEN, tls};
use crate::Failure;
use http::header::AUTHORIZATION;
use http::uri::Authority;
use http::{HeaderValue, Request};
use hudsucker::certificate_authority::CertificateAuthority;
use hudsucker::{Body, HttpContext, HttpHandler, Proxy, RequestOrResponse};
use hyper_rustls::HttpsConnectorBuilder;
use rustls::ServerConfig;
use standin_ca::SessionCa;
use standin_model::Host;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::TcpListener;

/// Serves until it is ended. Its argument is where its certificate goes; `SSL_CERT_FILE` is the origin's.
pub(super) fn serve() -> Result<(), Failure> {
    let ca = SessionCa::generate(SystemTime::now())?;
    let certificate = std::env::args_os().nth(2).ok_or("hudsucker was started by hand")?;
    std::fs::write(certificate, ca.certificate_pem())?;
    let config = tls::client(&[], true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async move {
        let connector = HttpsConnectorBuilder::new().with_tls_config(Arc::unwrap_or_clone(config)).https_only();
        let proxy = Proxy::builder()
            .with_listener(TcpListener::bind(super::HUDSUCKER).await?)
            .with_ca(Ca(ca))
            .with_http_connector(connector.enable_http1().build())
            .with_http_handler(Swap)
            .build()?;
        ready()?;
        Ok(proxy.start().await?)
    })
}

struct Ca(SessionCa);

impl CertificateAuthority for Ca {
    async fn gen_server_config(&self, _: &Authority) -> Arc<ServerConfig> {
        let host = Host::parse(HOST).expect("the bench's host is a DNS name");
        self.0.server_config(&host, &[b"http/1.1"]).expect("a certificate can be made")
    }
}

#[derive(Clone)]
struct Swap;

impl HttpHandler for Swap {
    async fn handle_request(&mut self, _: &HttpContext, mut request: Request<Body>) -> RequestOrResponse {
        if let Some(held) = request.headers_mut().get_mut(AUTHORIZATION)
            && held.as_bytes().strip_prefix(b"Bearer ") == Some(super::DUMMY.as_bytes())
        {
            *held = HeaderValue::from_str(&format!("Bearer {TOKEN}")).expect("a token of letters");
        }
        request.into()
    }
}
