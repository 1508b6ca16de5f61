//! Runs the product in a rig: a private network, real names, origins of ours.
//!
//! Every run ends with a search for the real keys in all that the sandbox could see or that Standin wrote.

use standin_policy::catalogue::Catalogue;
use standin_testkit::Seen;
use standin_testkit::origin::{aws, oauth};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Shaped like Anthropic's, and nobody's.
pub const ANTHROPIC_KEY: &str =
    "sk-ant-api03-Canary0Canary1Canary2Canary3Canary4Canary5Canary6Canary7Canary8Canary9Canary0Canary1Canary2Ca-AA";
/// Shaped like OpenAI's, and nobody's.
pub const OPENAI_KEY: &str = "sk-proj-Canary0Canary1Canary2Canary3Canary4Canary5Canary6CanaryT3BlbkFJCanary7Canary8";
/// Shaped like GitHub's, and nobody's.
pub const GITHUB_TOKEN: &str = "ghp_Canary0Canary1Canary2Canary3Canary4C";
/// A key for `echo.example`.
pub const ECHO_KEY: &str = "tok-Canary-echo-0123456789abcdef";

/// The password of a database.
pub const DATABASE_PASSWORD: &str = "Canary-database-0123456789abcdef";

/// One rig, and what a run in it needs.
pub struct Rig {
    directory: tempfile::TempDir,
    hosts: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

/// What came of a run.
pub struct Outcome {
    /// The command's exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it and Standin said.
    pub stderr: String,
    /// What the origins saw.
    pub seen: Vec<Seen>,
    /// The records of the audit log, a JSON object a line.
    pub log: String,
}

impl Rig {
    /// A rig in which these names lead to origins.
    pub fn new(hosts: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        for name in ["workspace", "home", "state", "repositories"] {
            std::fs::create_dir(directory.path().join(name)).expect("a fresh directory");
        }
        let hosts = hosts.iter().map(ToString::to_string).collect();
        Self { directory, hosts, arguments: Vec::new(), variables: Vec::new() }
    }

    /// Adds arguments to `standin run`.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Sets a variable of the caller's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The directory the command works in.
    pub fn workspace(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// Where the git origin's repositories are.
    pub fn repositories(&self) -> PathBuf {
        self.directory.path().join("repositories")
    }

    /// The caller's home, outside.
    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A file or directory of the rig's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file that tells the origins how to behave.
    pub fn marker(&self, name: &str, contents: &str) {
        std::fs::write(self.directory.path().join(name), contents).expect("a writable directory");
    }

    /// Where Standin keeps a login that was made inside.
    pub fn own_login(&self, service: &str) -> PathBuf {
        self.directory.path().join(format!("state/standin/logins/{service}.json"))
    }

    /// Claude Code's login, which expires then (in seconds since 1970).
    pub fn log_in_to_claude(&self, expires: u64) -> PathBuf {
        self.keep(".claude/.credentials.json", &serde_json::json!({
            "claudeAiOauth": {
                "accessToken": oauth::anthropic_access(0), "refreshToken": oauth::anthropic_refresh(0), "expiresAt": expires * 1000,
                "scopes": ["user:inference", "user:profile"], "subscriptionType": "max", "rateLimitTier": "max_5x"
            },
            "mcpOAuth": { "server": { "accessToken": format!("{}-of-a-server", oauth::MARK) } }
        }))
    }

    /// Codex's login with ChatGPT, which expires then.
    pub fn log_in_to_codex(&self, expires: u64) -> PathBuf {
        self.keep(
            ".codex/auth.json",
            &serde_json::json!({
                "auth_mode": "chatgpt", "OPENAI_API_KEY": null,
                "tokens": {
                    "id_token": oauth::openai_identity(0), "access_token": oauth::openai_access(0, expires),
                    "refresh_token": oauth::openai_refresh(0), "account_id": oauth::ACCOUNT
                },
                "last_refresh": "2026-11-28T00:00:00Z"
            }),
        )
    }

    /// Gemini CLI's login with Google, which expires then.
    pub fn log_in_to_gemini(&self, expires: u64) -> PathBuf {
        let settings =
            serde_json::json!({ "security": { "auth": { "selectedType": "oauth-personal" } }, "theme": "x" });
        self.keep(".gemini/settings.json", &settings);
        self.keep(
            ".gemini/oauth_creds.json",
            &serde_json::json!({
                "access_token": oauth::google_access(0), "refresh_token": oauth::google_refresh(),
                "id_token": oauth::openai_identity(0), "scope": "openid", "token_type": "Bearer", "expiry_date": expires * 1000
            }),
        )
    }

    /// Writes a client's file into the home, for its owner alone.
    pub fn keep(&self, name: &str, contents: &serde_json::Value) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.home().join(name);
        std::fs::create_dir_all(path.parent().expect("a file in the home")).expect("a fresh directory");
        std::fs::write(&path, format!("{contents:#}\n")).expect("a fresh file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a file of ours");
        path
    }

    /// Runs a shell script in the sandbox.
    pub fn script(&self, script: &str) -> Outcome {
        self.run(&["sh", "-c", script])
    }

    /// Runs a command in the sandbox, then looks for real keys everywhere.
    pub fn run(&self, command: &[&str]) -> Outcome {
        let standin = binary("standin").into_os_string().into_string().expect("the path is text");
        let mut words = vec![standin.as_str(), "run"];
        words.extend(self.arguments.iter().map(String::as_str));
        words.push("--");
        words.extend(command);
        self.on_host(&words)
    }

    /// Runs a command outside of any sandbox, where the origins are, then looks for real keys everywhere.
    pub fn on_host(&self, command: &[&str]) -> Outcome {
        let home = self.directory.path().join("home");
        let state = self.directory.path().join("state");
        let output = Command::new(binary("rig"))
            .arg(self.directory.path())
            .arg(self.hosts.join(","))
            .args(command)
            .current_dir(self.workspace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_STATE_HOME", &state)
            .env("LANG", "C.UTF-8")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .expect("the rig can be started; ./test builds it");
        let seen = std::fs::read(self.directory.path().join("seen.json")).unwrap_or_default();
        let log = Command::new(binary("standin"))
            .args(["log", "--json"])
            .env_clear()
            .env("HOME", &home)
            .env("XDG_STATE_HOME", &state)
            .output()
            .expect("the log can be shown");
        let outcome = Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            seen: serde_json::from_slice(&seen).unwrap_or_default(),
            // The first line is the session's own.
            log: String::from_utf8_lossy(&log.stdout).lines().skip(1).map(|line| line.to_owned() + "\n").collect(),
        };
        self.search_for_keys(&outcome);
        outcome
    }

    fn search_for_keys(&self, outcome: &Outcome) {
        let keys = [
            ANTHROPIC_KEY,
            OPENAI_KEY,
            GITHUB_TOKEN,
            ECHO_KEY,
            DATABASE_PASSWORD,
            oauth::MARK,
            aws::KEY,
            aws::SECRET,
            aws::TEMPORARY,
            aws::TOKEN,
        ];
        let logins = [
            ".claude/.credentials.json",
            ".claude.json",
            ".codex/auth.json",
            ".gemini/oauth_creds.json",
            ".aws/credentials",
            ".vault-token",
            ".config/gh/hosts.yml",
            ".ssh/id_ed25519",
        ]
        .map(|name| self.home().join(name));
        let logins = logins.into_iter().chain(["anthropic", "openai"].map(|service| self.own_login(service)));
        let logins: Vec<PathBuf> = logins.collect();
        let mut searched = 0;
        let mut open = vec![self.workspace(), self.directory.path().join("state"), self.directory.path().join("home")];
        let texts = [&outcome.stdout, &outcome.stderr, &outcome.log].map(|text| text.clone().into_bytes());
        let mut contents: Vec<(PathBuf, Vec<u8>)> = texts.into_iter().map(|text| ("output".into(), text)).collect();
        while let Some(path) = open.pop() {
            if path.is_symlink() || logins.contains(&path) {
                continue;
            }
            if let Ok(entries) = std::fs::read_dir(&path) {
                open.extend(entries.flatten().map(|entry| entry.path()));
            } else if let Ok(content) = std::fs::read(&path) {
                searched += 1;
                contents.push((path, content));
            }
        }
        assert!(searched > 0 || outcome.code == Some(127), "the state directory holds at least the log");
        let ssh_key = std::fs::read_to_string(self.home().join(".ssh/id_ed25519")).unwrap_or_default();
        // Its beginning is public.
        let ssh_key = ssh_key.lines().skip(3).filter(|line| !line.starts_with('-'));
        let keys: Vec<&str> = keys.into_iter().chain(ssh_key).collect();
        for (path, content) in contents {
            for key in &keys {
                let found = content.windows(key.len()).any(|window| window == key.as_bytes());
                assert!(!found, "a real key stands in {}", path.display());
            }
        }
    }
}

impl Outcome {
    /// The command must have succeeded.
    #[must_use]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}\nlog:\n{}", self.stdout, self.stderr, self.log);
        self
    }

    /// What is on record, without what differs from run to run.
    pub fn records(&self) -> Vec<String> {
        let field = |record: &serde_json::Value, name: &str| match &record[name] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let short = |line: &str| {
            let record = serde_json::from_str(line).expect("a record is JSON");
            let fields = ["kind", "protocol", "host", "port", "method", "target", "verdict", "reason", "outcome"];
            fields.map(|name| field(&record, name)).join(" ")
        };
        self.log.lines().map(short).collect()
    }

    /// Whether an origin got this value in this field.
    pub fn origin_got(&self, field: &str, value: &str) -> bool {
        self.seen.iter().any(|seen| seen.header(field) == Some(value))
    }
}

/// A program of this workspace, built beside the test.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let directory = test.parent().and_then(Path::parent).expect("tests lie two levels below the target directory");
    let path = directory.join(name);
    assert!(path.exists(), "{} is missing; `cargo build --workspace` makes it", path.display());
    path
}

/// The directory into which `./test` installs clients.
pub fn clients() -> String {
    let directory = std::env::var_os("STANDIN_TEST_CLIENTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients"), PathBuf::from);
    let directory = directory.canonicalize().expect("./test installs the clients");
    directory.into_os_string().into_string().expect("the clients' path is text")
}

/// The hosts of a registry, from the catalogue.
pub fn registry(service: &str) -> Vec<String> {
    let service = Catalogue::builtin().service(service).expect("in the catalogue");
    service.allow.iter().flat_map(|rule| &rule.hosts).map(ToString::to_string).collect()
}
