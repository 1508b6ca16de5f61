use super::*;
use crate::key::StandInKey;
use standin_model::{
    AddressBlocks, GrantRule, LoginForm, LoginToken, Methods, PathPattern, Ports, RequestRule, TokenEndpoint,
};

/// A login as the catalogue has them.
pub(in crate::login) fn login() -> Login {
    let pointer = |text: &str| JsonPointer::parse(text).unwrap();
    let rule = RequestRule {
        label: "svc:tokens".into(),
        hosts: vec![standin_model::HostPattern::parse("auth.example").unwrap()],
        ports: Ports::default(),
        methods: Methods::only(["POST"]),
        paths: vec![PathPattern::parse("/oauth/token").unwrap()],
        conditions: Vec::new(),
        addresses: AddressBlocks::default(),
    };
    let token = |kind, at: &str| LoginToken { kind, at: pointer(at), grants: Vec::<GrantRule>::new() };
    Login {
        id: "svc".into(),
        client: "Client".into(),
        directory: ".client".into(),
        variable: "CLIENT_HOME".into(),
        file: "login.json".into(),
        lock: None,
        form: LoginForm {
            tokens: vec![
                token(TokenKind::Access, "/t/access"),
                token(TokenKind::Refresh, "/t/refresh"),
                token(TokenKind::Identity, "/t/id"),
            ],
            shown: vec![pointer("/t/expiresAt"), pointer("/t/plan")],
            expires: Some(pointer("/t/expiresAt")),
            refreshed: Some(pointer("/last")),
            scopes: Some(pointer("/t/scopes")),
            account: Some((pointer("/t/account"), pointer("/account"))),
            claims: vec!["account".into()],
            empty: r#"{"t":{"access":"","refresh":"","id":"","expiresAt":0,"scopes":[],"account":null},"last":""}"#
                .into(),
        },
        endpoint: TokenEndpoint {
            rule,
            passes: ["token_type", "expires_in", "scope", "who"].map(String::from).to_vec(),
        },
        state: vec![],
    }
}

pub(in crate::login) fn minter() -> Minter {
    Minter::new(Arc::new(StandInKey::ephemeral().unwrap()), "/w".into())
}

fn read(answer: &str) -> Result<String, String> {
    let login = login();
    let answer = Answer::read(&login, answer.as_bytes()).map_err(|error| error.to_string())?;
    let told: Value = serde_json::from_slice(&answer.with_stand_ins(&login, &minter())).unwrap();
    let shown = told.as_object().unwrap().iter().map(|(name, value)| match name.as_str() {
        "access_token" | "refresh_token" | "id_token" => name.clone(),
        _ => format!("{name}={value}"),
    });
    Ok(shown.collect::<Vec<_>>().join(" "))
}

#[test]
fn what_is_known_passes_and_nothing_else() {
    for (answer, expected) in [
        (
            r#"{"access_token":"sk-Real-access-0123456789","refresh_token":"sk-Real-refresh-0123456789","expires_in":9,"scope":"a b","secret":"x"}"#,
            Ok("access_token expires_in=9 refresh_token scope=\"a b\""),
        ),
        (r#"{"access_token":"sk-Real-access-0123456789","refresh_token":null}"#, Ok("access_token")),
        (r#"{"access_token":"sk-Real-access-0123456789","who":{"name":"n"}}"#, Ok("access_token who={\"name\":\"n\"}")),
        ("", Err("the token endpoint's answer cannot be read")),
        ("access_token=sk-Real-access-0123456789", Err("the token endpoint's answer cannot be read")),
        ("[]", Err("the token endpoint's answer holds no access token")),
        ("{}", Err("the token endpoint's answer holds no access token")),
        (r#"{"refresh_token":"x"}"#, Err("the token endpoint's answer holds no access token")),
        (r#"{"access_token":""}"#, Err("the token endpoint's answer holds no access token")),
        (r#"{"access_token":["x"]}"#, Err("the token endpoint's answer has a `access_token` that is no token")),
        (
            r#"{"access_token":"x","refresh_token":7}"#,
            Err("the token endpoint's answer has a `refresh_token` that is no token"),
        ),
        (r#"{"access_token":"x","access_token":"y"}"#, Err("the token endpoint's answer cannot be read")),
        (r#"{"access_token":"x","Access_Token":"y"}"#, Err("the token endpoint's answer cannot be read")),
        (
            r#"{"access_token":"sk-Real","who":{"again":"sk-Real"}}"#,
            Err("the token endpoint's answer holds a token in a place that is not known"),
        ),
        (
            r#"{"access_token":"sk-Real","who":{"refresh_token":"other"}}"#,
            Err("the token endpoint's answer holds a token in a place that is not known"),
        ),
    ] {
        assert_eq!(read(answer).as_deref().map_err(String::as_str), expected, "{answer}");
    }
}

#[test]
fn an_error_holds_no_tokens() {
    for (answer, harmless) in [
        (r#"{"error":"invalid_grant","error_description":"the refresh_token was used before"}"#, true),
        ("<html>Bad gateway</html>", true),
        (r#"{"error":"x","access_token":"sk-Real"}"#, false),
        (r#"{"error":{"Refresh_Token":"sk-Real"}}"#, false),
        ("access_token=sk-Real&x=y", false),
    ] {
        assert_eq!(is_an_error(answer.as_bytes()).is_ok(), harmless, "{answer}");
    }
}

/// What somebody else has exchanged already is told as the endpoint would.
#[test]
fn tokens_that_are_there_are_an_answer() {
    let (login, now) = (login(), SystemTime::UNIX_EPOCH);
    let mut tokens =
        Tokens { expires: Some(now + Duration::from_secs(90)), scopes: vec!["a".into()], ..Tokens::default() };
    tokens.set(TokenKind::Access, Arc::new(Secret::new(b"sk-Real-access-0123456789".to_vec())));
    let minter = minter();
    let told: Value =
        serde_json::from_slice(&Answer::of(&login, &tokens, now).with_stand_ins(&login, &minter)).unwrap();
    let stand_in = minter.stand_in(&login, TokenKind::Access, tokens.get(TokenKind::Access).unwrap());
    let expected = serde_json::json!({
        "access_token": stand_in.as_str(), "expires_in": 90, "scope": "a", "token_type": "Bearer"
    });
    assert_eq!(told, expected);
}
