//! Amazon S3 with one public object in every bucket.

use super::{Body, reply};
use crate::Seen;
use http::Response;

/// The one key, and what lies under it.
const OBJECT: (&str, &str) = ("hello.txt", "hello");

pub(super) fn answer(seen: &Seen) -> Response<Body> {
    let path = seen.target.split('?').next().unwrap_or_default();
    let (key, content) = OBJECT;
    if seen.method == "GET" && path == "/" {
        let list = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>{key}</Key>\
             <LastModified>2024-01-01T00:00:00.000Z</LastModified><Size>{}</Size></Contents></ListBucketResult>",
            content.len()
        );
        return reply(200, "application/xml", list);
    }
    if path.strip_prefix('/') == Some(key) {
        let mut response = reply(200, "text/plain", content);
        let modified = http::HeaderValue::from_static("Mon, 01 Jan 2024 00:00:00 GMT");
        response.headers_mut().insert("last-modified", modified);
        return response;
    }
    reply(404, "application/xml", "<Error><Code>NoSuchKey</Code></Error>")
}
