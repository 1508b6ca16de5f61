//! The agents themselves, each with one tool call.

use standin_e2e::{ANTHROPIC_KEY, OPENAI_KEY, Rig, clients};
use standin_testkit::Seen;

#[test]
fn claude_code_works_with_a_stand_in() {
    let clients = clients();
    let rig = Rig::new(&["api.anthropic.com"]).with(&["--ro", &clients]).variable("ANTHROPIC_API_KEY", ANTHROPIC_KEY);
    let outcome = rig
        .script(&format!(
            "{clients}/node_modules/.bin/claude -p --dangerously-skip-permissions 'write the proof' && env > environment"
        ))
        .succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(std::fs::read_to_string(rig.workspace().join("proof.txt")).unwrap(), "made-by-the-tool\n");
    assert!(outcome.origin_got("x-api-key", ANTHROPIC_KEY), "{}", outcome.log);
    let environment = std::fs::read_to_string(rig.workspace().join("environment")).unwrap();
    assert!(environment.contains("ANTHROPIC_API_KEY=sk-ant-api03-"), "{environment}");
}

#[test]
fn agents_work_with_inference_alone() {
    let clients = clients();
    let uses = ["--use", "anthropic:inference-only", "--use", "openai:inference-only", "--ro", &clients];
    let rig = Rig::new(&["api.anthropic.com", "api.openai.com"])
        .with(&uses)
        .variable("ANTHROPIC_API_KEY", ANTHROPIC_KEY)
        .variable("CODEX_API_KEY", OPENAI_KEY);
    let outcome = rig
        .script(&format!(
            "{clients}/node_modules/.bin/claude -p --dangerously-skip-permissions 'write the proof' && mv proof.txt first; \
             {clients}/node_modules/.bin/codex exec --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check 'write the proof'"
        ))
        .succeeded();
    for name in ["first", "proof.txt"] {
        let proof = std::fs::read_to_string(rig.workspace().join(name)).unwrap();
        assert_eq!(proof, "made-by-the-tool\n", "{name}: {}", outcome.log);
    }
    assert!(outcome.origin_got("x-api-key", ANTHROPIC_KEY), "{}", outcome.log);
    assert!(outcome.origin_got("authorization", &format!("Bearer {OPENAI_KEY}")), "{}", outcome.log);
}

#[test]
fn claude_code_works_on_a_copy() {
    let clients = clients();
    let flags = ["--cow", "--ro", &clients];
    let rig = Rig::new(&["api.anthropic.com"]).with(&flags).variable("ANTHROPIC_API_KEY", ANTHROPIC_KEY);
    let claude = format!(
        "{clients}/node_modules/.bin/claude -p --dangerously-skip-permissions 'write the proof'; cat proof.txt"
    );
    let outcome = rig.script(&claude).succeeded();
    assert!(outcome.stdout.ends_with("made-by-the-tool\n"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stderr.contains("in the workspace's copy"), "{}", outcome.stderr);
    assert!(!rig.workspace().join("proof.txt").exists());
}

#[test]
fn codex_works_with_a_stand_in() {
    let clients = clients();
    let rig = Rig::new(&["api.openai.com"]).with(&["--ro", &clients]).variable("CODEX_API_KEY", OPENAI_KEY);
    let outcome = rig
        .script(&format!(
            "{clients}/node_modules/.bin/codex exec --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check \
             'write the proof'"
        ))
        .succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(std::fs::read_to_string(rig.workspace().join("proof.txt")).unwrap(), "made-by-the-tool\n");
    assert!(outcome.origin_got("authorization", &format!("Bearer {OPENAI_KEY}")), "{}", outcome.log);
}

/// Over a WebSocket, as Codex does it with OpenAI: it offers compression, and falls back to nothing.
#[test]
fn codex_works_over_a_websocket() {
    let clients = clients();
    let rig = Rig::new(&["api.openai.com"]).with(&["--ro", &clients]).variable("CODEX_API_KEY", OPENAI_KEY);
    let marker = rig.workspace().with_file_name(standin_testkit::origin::HAS_RESPONSES);
    std::fs::write(marker, "").unwrap();
    let outcome = rig
        .script(&format!(
            "{clients}/node_modules/.bin/codex exec --dangerously-bypass-approvals-and-sandbox --skip-git-repo-check \
             'write the proof'"
        ))
        .succeeded();
    assert!(outcome.stdout.contains("all done"), "{}\n{}", outcome.stdout, outcome.stderr);
    assert_eq!(std::fs::read_to_string(rig.workspace().join("proof.txt")).unwrap(), "made-by-the-tool\n");
    let opened = |seen: &&Seen| seen.method == "GET" && seen.target == "/v1/responses";
    let opening = outcome.seen.iter().find(opened).expect("a WebSocket");
    assert_eq!(opening.header("authorization"), Some(format!("Bearer {OPENAI_KEY}").as_str()));
    assert_eq!(opening.header("sec-websocket-extensions"), Some("permessage-deflate"));
    assert!(!outcome.seen.iter().any(|seen| seen.method == "POST" && seen.target == "/v1/responses"), "no fallback");
    assert!(outcome.log.contains("\"protocol\":\"websocket\""), "{}", outcome.log);
}
