//! Signing, and verifying by signing.

use crate::claim::{DATE, Place, TOKEN, is_parameter};
use crate::query::{escaped, escaped_path, pairs};
use crate::{Claim, Error, Message, Style};
use aws_credential_types::Credentials;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use http::{HeaderName, HeaderValue, header};
use std::time::Duration;

/// What is signed with. It cannot be printed: the identity of AWS's SDK shows nothing of itself.
#[derive(Clone)]
pub struct Keys(pub(crate) Identity);

/// What makes a request signed.
pub struct Signed {
    /// Fields to be set.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The query, anew.
    pub query: Option<String>,
    /// The signature, with which the one of the body's first chunk begins.
    pub signature: String,
}

impl Keys {
    /// A key, its secret, and the token that goes with temporary ones.
    pub fn new(id: &str, secret: &str, token: Option<&str>) -> Self {
        Self(Credentials::new(id, secret, token.map(str::to_owned), None, "standin").into())
    }

    fn credentials(&self) -> &Credentials {
        self.0.data().expect("it was made of credentials")
    }
}

impl Claim {
    /// Whether the signature is that of this message with these keys. `content` is what stands for the body.
    pub fn verify(&self, message: &Message<'_>, keys: &Keys, content: &str, style: Style) -> Result<(), Error> {
        if self.key != keys.credentials().access_key_id() {
            return Err(Error::Mismatch);
        }
        if self.token.as_deref() != keys.credentials().session_token() {
            return Err(Error::Token);
        }
        if self.place == Place::Header && self.token.is_some() && !self.signs(&TOKEN) {
            return Err(Error::Unsigned(TOKEN.to_string()));
        }
        let (_, signature) = self.made(message, keys, content, style)?;
        verify_slices_are_equal(signature.as_bytes(), self.signature.as_bytes()).map_err(|_| Error::Mismatch)
    }

    /// The same request signed with other keys: of the fields that were signed those that are still there.
    pub fn sign(&self, message: &Message<'_>, keys: &Keys, content: &str, style: Style) -> Result<Signed, Error> {
        let (instructions, signature) = self.made(message, keys, content, style)?;
        let (headers, parameters) = instructions.into_parts();
        let headers = headers
            .into_iter()
            .map(|field| {
                let mut value = HeaderValue::from_str(field.value()).map_err(|_| Error::Unsignable)?;
                value.set_sensitive(true);
                Ok((HeaderName::from_static(field.name()), value))
            })
            .collect::<Result<_, Error>>()?;
        let mut query = unsigned(message.query.unwrap_or_default())?;
        for (name, value) in parameters {
            query.push(format!("{}={}", escaped(name), escaped(&value)));
        }
        let query = (message.query.is_some() || !query.is_empty()).then(|| query.join("&"));
        Ok(Signed { headers, query, signature })
    }

    /// A query without what belongs to the signature.
    pub fn strip(query: Option<&str>) -> Result<Option<String>, Error> {
        let Some(query) = query else { return Ok(None) };
        let kept = unsigned(query)?;
        Ok((!kept.is_empty()).then(|| kept.join("&")))
    }

    fn made(
        &self,
        message: &Message<'_>,
        keys: &Keys,
        content: &str,
        style: Style,
    ) -> Result<(SigningInstructions, String), Error> {
        let path = match style {
            Style::Objects => escaped_path(message.path),
            Style::Usual => message.path.to_owned(),
        };
        let query = unsigned(message.query.unwrap_or_default())?.join("&");
        let uri = format!("https://{}{path}?{query}", message.host);
        let headers = self.signed_fields(message)?;
        let content = SignableBody::Precomputed(content.to_owned());
        let request =
            SignableRequest::new(message.method, uri, headers.into_iter(), content).map_err(|_| Error::Unsignable)?;
        let parameters = v4::SigningParams::builder()
            .identity(&keys.0)
            .region(&self.scope.region)
            .name(&self.scope.service)
            .time(self.time)
            .settings(self.settings(style))
            .build()
            .map_err(|_| Error::Unsignable)?;
        let (instructions, signature) = sign(request, &parameters.into()).map_err(|_| Error::Unsignable)?.into_parts();
        Ok((instructions, signature))
    }

    /// The fields that are signed and that the crate does not add by itself.
    fn signed_fields<'a>(&'a self, message: &'a Message<'_>) -> Result<Vec<(&'a str, &'a str)>, Error> {
        let mut fields = vec![("host", message.host)];
        let is_added = |name: &&HeaderName| ![&header::HOST, &DATE, &TOKEN].contains(name);
        for name in self.signed.iter().filter(is_added) {
            for value in message.headers.get_all(name) {
                fields.push((name.as_str(), value.to_str().map_err(|_| Error::Missing(name.to_string()))?));
            }
        }
        Ok(fields)
    }

    fn settings(&self, style: Style) -> SigningSettings {
        let mut settings = SigningSettings::default();
        (settings.percent_encoding_mode, settings.uri_path_normalization_mode) = match style {
            Style::Objects => (PercentEncodingMode::Single, UriPathNormalizationMode::Disabled),
            Style::Usual => (PercentEncodingMode::Double, UriPathNormalizationMode::Enabled),
        };
        (settings.signature_location, settings.expires_in) = match self.place {
            Place::Header => (SignatureLocation::Headers, None),
            Place::Query(seconds) => (SignatureLocation::QueryParams, Some(Duration::from_secs(seconds))),
        };
        // What the client signed is what is signed: the fields are handed over, no more and no fewer.
        settings.excluded_headers = None;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.session_token_mode = SessionTokenMode::Include;
        settings
    }
}

/// The pairs of a query that are not those of a signature.
fn unsigned(query: &str) -> Result<Vec<String>, Error> {
    let pairs = pairs(query)?;
    let kept = pairs.iter().filter(|(name, ..)| !is_parameter(name));
    Ok(kept.map(|(_, _, written)| (*written).to_owned()).collect())
}
