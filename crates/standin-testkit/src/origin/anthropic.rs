//! Anthropic's API as Claude Code uses it: one tool call, then a last word.

use super::events::events;
use super::{Body, json};
use crate::Seen;
use http::Response;
use serde_json::{Value, json as value};

/// What the agent is told to run.
pub const COMMAND: &str = "echo made-by-the-tool > proof.txt";

pub(super) fn answer(seen: &Seen) -> Response<Body> {
    let path = seen.target.split('?').next().unwrap_or_default();
    match (seen.method.as_str(), path) {
        ("POST", "/v1/messages") => messages(&seen.body),
        ("POST", "/v1/messages/count_tokens") => json(200, &value!({ "input_tokens": 10 })),
        ("GET" | "HEAD", "/api/hello") => json(200, &value!({ "message": "hello" })),
        ("POST", _) => json(200, &value!({})),
        _ => json(404, &value!({ "type": "error", "error": { "type": "not_found_error", "message": "not here" } })),
    }
}

/// To whoever shows no good token.
pub(super) fn unauthorized() -> Response<Body> {
    let error = value!({ "type": "authentication_error", "message": "OAuth token has expired" });
    json(401, &value!({ "type": "error", "error": error }))
}

fn messages(body: &str) -> Response<Body> {
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    let offers_bash = request["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "Bash"));
    let has_result = body.contains("\"tool_result\"");
    let content = if offers_bash && !has_result {
        value!({ "type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {} })
    } else {
        value!({ "type": "text", "text": "" })
    };
    let is_tool = content["type"] == "tool_use";
    let delta = if is_tool {
        let input = value!({ "command": COMMAND, "description": "Write the proof" }).to_string();
        value!({ "type": "input_json_delta", "partial_json": input })
    } else {
        value!({ "type": "text_delta", "text": "all done" })
    };
    let stop = if is_tool { "tool_use" } else { "end_turn" };
    let message = value!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": request["model"], "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 10, "output_tokens": 1 }
    });
    if request["stream"] != true {
        let mut whole = message;
        whole["content"] = value!([{ "type": "text", "text": "all done" }]);
        whole["stop_reason"] = value!("end_turn");
        return json(200, &whole);
    }
    events(&[
        ("message_start", value!({ "type": "message_start", "message": message })),
        ("content_block_start", value!({ "type": "content_block_start", "index": 0, "content_block": content })),
        ("content_block_delta", value!({ "type": "content_block_delta", "index": 0, "delta": delta })),
        ("content_block_stop", value!({ "type": "content_block_stop", "index": 0 })),
        (
            "message_delta",
            value!({ "type": "message_delta", "delta": { "stop_reason": stop, "stop_sequence": null }, "usage": { "output_tokens": 9 } }),
        ),
        ("message_stop", value!({ "type": "message_stop" })),
    ])
}
