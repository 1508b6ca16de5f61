//! OpenAI's Responses API as Codex uses it: one tool call, then a last word.

use super::events::events;
use super::{Body, json, oauth};
use crate::Seen;
use http::Response;
use serde_json::{Value, json as value};

/// What the agent is told to run.
pub const COMMAND: &str = "echo made-by-the-tool > proof.txt";

pub(super) fn answer(seen: &Seen) -> Response<Body> {
    let path = seen.target.split('?').next().unwrap_or_default();
    match (seen.method.as_str(), path) {
        ("POST", "/v1/responses") => events(&turn(&seen.body)),
        ("GET", "/v1/models") => json(200, &value!({ "object": "list", "data": [], "models": [] })),
        // Codex asks for a WebSocket first and falls back, unless the rig says that there is one (`socket`).
        _ => json(404, &value!({ "error": { "message": "not here", "type": "invalid_request_error" } })),
    }
}

/// ChatGPT's part of it, as Codex uses it with a login.
pub(super) fn chatgpt(seen: &Seen) -> Response<Body> {
    let path = seen.target.split('?').next().unwrap_or_default();
    match (seen.method.as_str(), path) {
        ("POST", "/backend-api/codex/responses") => events(&turn(&seen.body)),
        // Where the account's workspace is served; Codex asks it before anything else, and compares the account.
        ("GET", "/backend-api/wham/accounts/check") => {
            let account = value!({
                "id": oauth::ACCOUNT, "workspace_backend_origin": "https://chatgpt.com", "account_routing_override": "NO_CONSTRAINT"
            });
            json(
                200,
                &value!({
                    "accounts": [account], "account_ordering": [oauth::ACCOUNT], "default_account_id": oauth::ACCOUNT
                }),
            )
        }
        ("GET", "/backend-api/codex/models") => json(200, &value!({ "models": [] })),
        _ => json(404, &value!({ "detail": "not here" })),
    }
}

/// To whoever shows no good token.
pub(super) fn unauthorized() -> Response<Body> {
    json(401, &value!({ "error": { "message": "the token has expired", "code": "token_expired" } }))
}

/// The events of one turn: names and data.
pub(super) fn turn(body: &str) -> Vec<(&'static str, Value)> {
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    let has_result = body.contains("_call_output\"");
    let item = if has_result { message() } else { tool_call(&offered(&request)) };
    let response = |status: &str, output: Value| {
        value!({
            "id": "resp_1", "object": "response", "status": status, "output": output,
            "usage": { "input_tokens": 1, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": 1,
                       "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 2 }
        })
    };
    // Over a WebSocket Codex warms a turn up that it does not want generated yet.
    let output = if request["generate"] == false { value!([]) } else { value!([item]) };
    let mut list = vec![("response.created", value!({ "response": response("in_progress", value!([])) }))];
    for (number, item) in output.as_array().into_iter().flatten().enumerate() {
        for name in ["response.output_item.added", "response.output_item.done"] {
            list.push((name, value!({ "output_index": number, "item": item })));
        }
    }
    list.push(("response.completed", value!({ "response": response("completed", output) })));
    list.into_iter().map(|(name, data)| (name, typed(name, data))).collect()
}

/// Every event names its type in its data, too.
fn typed(name: &str, mut data: Value) -> Value {
    data["type"] = name.into();
    data
}

fn message() -> Value {
    value!({
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": "all done", "annotations": [] }]
    })
}

/// The tools that are offered: at the top, among the input, and within namespaces.
fn offered(request: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut open: Vec<&Value> = vec![&request["tools"], &request["input"]];
    while let Some(value) = open.pop() {
        for part in value.as_array().into_iter().flatten() {
            names.extend(part["name"].as_str().map(str::to_owned));
            open.push(&part["tools"]);
        }
    }
    names
}

/// A call of whichever shell tool this Codex offers.
fn tool_call(offered: &[String]) -> Value {
    let offers = |name: &str| offered.iter().any(|tool| tool == name);
    let function = |name: &str, arguments: Value| {
        value!({
            "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "status": "completed",
            "arguments": arguments.to_string()
        })
    };
    if offers("exec_command") {
        function("exec_command", value!({ "cmd": COMMAND }))
    } else if offers("shell_command") {
        function("shell_command", value!({ "command": COMMAND }))
    } else if offers("shell") {
        function("shell", value!({ "command": ["sh", "-c", COMMAND] }))
    } else if offers("exec") {
        let script = format!("await tools.exec_command({{ cmd: {} }});", value!(COMMAND));
        value!({
            "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "exec", "namespace": "functions",
            "status": "completed", "input": script
        })
    } else {
        message()
    }
}
