//! What a request asks a service to do, wherever any of AWS's protocols says it.

use percent_encoding::percent_decode_str;
use standin_policy::catalogue::signing::Asked;
use standin_sigv4::Message;

/// In front of an action in a path (Smithy RPC v2).
const OPERATION: &str = "/operation/";

/// Every name of an action that a server may read in a request.
pub(super) fn asked<'a>(message: &Message<'a>, path: &'a str, body: Option<&[u8]>) -> Asked<'a> {
    let mut actions = Vec::new();
    for target in message.headers.get_all("x-amz-target") {
        let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
        actions.push(target.rsplit(['.', '#']).next().unwrap_or_default().trim().to_owned());
    }
    actions.extend(of_form(message.query.unwrap_or_default()));
    actions.extend(of_form(&String::from_utf8_lossy(body.unwrap_or_default())));
    for (at, _) in path.match_indices(OPERATION) {
        let rest = &path[at + OPERATION.len()..];
        actions.push(rest.split('/').next().unwrap_or_default().to_owned());
    }
    Asked { method: message.method, path, actions }
}

/// The values of `Action` in a form.
fn of_form(text: &str) -> impl Iterator<Item = String> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().trim().to_owned();
    text.split('&').filter_map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        decoded(name).eq_ignore_ascii_case("action").then(|| decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn actions_are_found_wherever_they_stand() {
        for (query, target, path, expected) in [
            ("Action=A&Version=1", "", "/", "A"),
            ("action=A&%41ction=B", "", "/", "A B"),
            ("Action=%47et", "", "/", "Get"),
            ("", "Prefix_2012.GetItem", "/", "GetItem"),
            ("Action=A", "P.B", "/service/X/operation/C", "B A C"),
            ("Actions=A", "", "/operation", ""),
        ] {
            let mut headers = HeaderMap::new();
            if !target.is_empty() {
                headers.insert("x-amz-target", HeaderValue::from_static(target));
            }
            let message = Message { method: "POST", host: "h", path, query: Some(query), headers: &headers };
            let found = asked(&message, path, None);
            assert_eq!(found.actions.join(" "), expected, "{query} {target} {path}");
            // A form in the body says the same.
            let found = asked(&Message { query: None, ..message }, path, Some(query.as_bytes()));
            assert_eq!(found.actions.join(" "), expected, "{query} {target} {path}");
        }
    }
}
