//! What was typed.

use clap::{Args, Parser, Subcommand};
use standin_config::{Publish, parse_publish, parse_reach};
use standin_model::{Backend, Bound, OnLeak, PresetUse, TerminalFeature};
use std::ffi::OsString;
use std::path::PathBuf;

/// Run coding agents without giving them keys.
///
/// The agent runs in a sandbox whose only way out is Standin's proxy. It holds stand-ins: values with the shape of your
/// credentials and none of their power. The proxy puts the real ones in where a grant says so, takes them out of what
/// comes back, decides every request, and keeps a record of each.
#[derive(Parser)]
#[command(name = "standin", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What a variant's arguments say of themselves is what `--help` shows: a variant without a comment of its own leaves it, one with a comment
/// takes its place.
#[derive(Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArguments>),
    /// Show what Standin does, with nothing to set up
    ///
    /// A program in the sandbox uses an API with a stand-in, looks for the key, and tries to get it out. The API is on this machine, and nothing
    /// leaves it.
    #[command(after_help = "Examples:\n  standin demo")]
    Demo,
    Doctor(DoctorArguments),
    Reload(ReloadArguments),
    Log(LogArguments),
    Diff(DiffArguments),
    Apply(ApplyArguments),
    Discard(DiscardArguments),
    CheckRepo(CheckRepoArguments),
    /// Ask what the policy says of a request, and why, without running anything
    #[command(long_about = POLICY)]
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Keep secrets in an encrypted file, to be lent as `age:NAME`
    #[command(long_about = SECRET)]
    Secret {
        #[command(subcommand)]
        command: SecretCommand,
    },
    /// Print completions for a shell
    ///
    /// Where they belong depends on the shell; the examples are the usual places.
    #[command(after_help = "Examples:
  standin completions bash > ~/.local/share/bash-completion/completions/standin
  standin completions zsh > ~/.zfunc/_standin
  standin completions fish > ~/.config/fish/completions/standin.fish")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    ///
    /// It is in roff, as man reads it.
    #[command(after_help = "Examples:
  standin man | man -l -
  standin man > ~/.local/share/man/man1/standin.1")]
    Man,
}

/// What `standin policy --help` says first.
const POLICY: &str = "\
Ask what the policy says of a request, and why, without running anything.

The policy is the one that `standin run` with the same options would have here and now: the configuration, the catalogue's rules for the \
credentials that are found in the environment, in files and in logins, and the package registries. Nothing is resolved or connected to, and no \
source of a credential is asked.";

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say whether a request would be allowed: the exit code is 0 if so, 3 if not
    ///
    /// Rules may ask what its fields and its body say; where credentials stand in it is not asked: a stand-in must be in a slot of its grant,
    /// and what is somebody else's is refused.
    Check(Box<QuestionArguments>),
    /// Say it and why, rule by rule, and what would make it pass
    ///
    /// The exit code is 0 if it would be allowed, 3 if not.
    Explain(Box<QuestionArguments>),
    Test(PolicyTestArguments),
    Lint(PolicyLintArguments),
    /// List the presets of all services
    ///
    /// A preset leaves of what is allowed at a service what one kind of work needs.
    #[command(after_help = "Examples:
  standin policy presets
  standin run --use github:read-only -- claude")]
    Presets,
}

/// A request to ask about.
#[derive(Args)]
#[command(after_help = "Examples:
  standin policy check GET https://api.github.com/user
  standin policy explain DELETE https://api.github.com/repos/acme/app
  standin policy check POST https://api.github.com/repos/acme/app/git/refs --body ref.json
  standin policy check POST https://github.com/acme/app.git/git-receive-pack --push refs/heads/main
  standin policy check --config ci.toml POST https://api.anthropic.com/v1/messages -- claude")]
pub(crate) struct QuestionArguments {
    /// The request's method
    pub(crate) method: String,
    /// Its URL: https:// or http://
    pub(crate) url: String,
    /// A field of its head; may be given more than once
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// A file with its body, - for standard input. It is JSON, unless a content-type is given
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// A ref that git pushes in it, -REF for one that is deleted, in place of a body
    #[arg(long, value_name = "REF", allow_hyphen_values = true, conflicts_with = "body")]
    pub(crate) push: Vec<String>,
    #[command(flatten)]
    pub(crate) about: SessionArguments,
}

/// Say what is odd about the configuration's rules: the exit code is 1 if anything is
///
/// A wildcard where anybody can have a name; a service that may be written to with an attacker's own account; a rule that another one means or
/// denies all of; one that asks for a body where there is none; a credential for port 80.
#[derive(Args)]
#[command(after_help = "Examples:
  standin policy lint
  standin policy lint --config ci.toml --json
  standin policy lint --allow '*.example.com'")]
pub(crate) struct PolicyLintArguments {
    #[command(flatten)]
    pub(crate) about: SessionArguments,
}

/// Ask what the configuration's [[test]] tables ask, and compare: the exit code is 1 if an answer is another one
///
/// The tables are such as
///
///     [[test]]
///     request    = "GET https://api.example.com/v1/things"
///     verdict    = "allow"                # or "deny"
///     rule       = "internal.grant[1]"    # optional: the rule that says so
///     credential = "internal"             # optional: what it may carry
///     headers    = { accept = "*/*" }     # optional, as are body = '{"a": 1}' and push = ["refs/heads/main"]
///
/// They are asked of the policy that a session would have here: one that depends on a credential fails where there is none.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  standin policy test
  standin policy test --config ci.toml --json -- claude"
)]
pub(crate) struct PolicyTestArguments {
    #[command(flatten)]
    pub(crate) about: SessionArguments,
}

/// The session that is asked about.
#[derive(Args)]
pub(crate) struct SessionArguments {
    /// Print a JSON object, one a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) rules: RuleArguments,
    /// The command that would run: an agent may reach its own service [default: one that is no agent]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Where a session's rules come from, besides the catalogue.
#[derive(Args, Clone, Default)]
pub(crate) struct RuleArguments {
    /// Read this configuration instead of ~/.config/standin/config.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Allow a host (or *.example.com, or HOST:PORT), without a credential
    #[arg(long, value_name = "HOST")]
    pub(crate) allow: Vec<String>,
    /// Leave of a service what a preset has, such as github:read-only or 'github:single-repo{owner=acme, repo=app}'; `standin policy
    /// presets` lists them
    #[arg(long = "use", value_name = "PRESET", value_parser = PresetUse::parse)]
    pub(crate) presets: Vec<PresetUse>,
    /// Lend a credential: the command sees a stand-in as NAME; SOURCE is env:NAME, file:PATH, file:PATH#NAME,
    /// cmd:COMMAND, or another of docs/sources.md (age:, keychain:, git:, op:, bw:, vault:, sops:)
    #[arg(long, value_name = "NAME=SOURCE@HOST")]
    pub(crate) secret: Vec<String>,
    /// Lend the login of this agent, too (claude, codex, gemini), or gh's; `none` lends none, not even that of COMMAND
    #[arg(long, value_name = "AGENT")]
    pub(crate) login: Vec<String>,
    /// Lend the keys of this profile of ~/.aws/credentials [default: those in the environment, or of $AWS_PROFILE]
    #[arg(long, value_name = "PROFILE", value_parser = parse_profile)]
    pub(crate) aws_profile: Option<String>,
    /// The directory to work in [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
}

/// What `standin secret --help` says first.
const SECRET: &str = "\
Keep secrets in an encrypted file, to be lent as `age:NAME`.

The file is secrets/secrets.age in Standin's state directory (~/.local/state/standin), an age file for the key secrets.key beside it, \
which may have a passphrase or be in the desktop's keychain. Nothing of it is visible in a sandbox. Values come from standard input or are typed without an echo, never from the \
command line, which every process of the host can read.

There is no command that prints a value: a credential is there to be lent, and what prints one prints it to every agent and script that \
runs as you. With the key, `age -d -i secrets.key secrets.age` shows all of them (in base64) to who means it.";

#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    Set(SecretSetArguments),
    Rotate(SecretRotateArguments),
    /// List the names of the secrets
    ///
    /// There is no command that prints a value.
    #[command(after_help = "Examples:\n  standin secret list")]
    List,
    /// Remove a secret
    ///
    /// No session that starts from now on can lend it. At its service it is good until it is revoked there.
    #[command(after_help = "Examples:\n  standin secret rm work/api")]
    Rm {
        /// Its name
        name: String,
    },
}

/// Set a secret, or replace it
///
/// The value comes from standard input, or is asked for without an echo.
#[derive(Args)]
#[command(after_help = "Examples:
  standin secret set work/api
  pass show work/api | standin secret set work/api
  standin run --secret TOKEN=age:work/api@api.example.com -- ./script.sh")]
pub(crate) struct SecretSetArguments {
    /// Its name: letters, digits, `.`, `_`, `-`, `/`
    pub(crate) name: String,
    /// Give the key a passphrase, which is asked for at the terminal; only when the first secret is set
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// Keep the key in the desktop's keychain, which needs secret-tool; only when the first secret is set
    #[arg(long, conflicts_with = "passphrase")]
    pub(crate) keychain: bool,
}

/// Replace a credential by a new one, or tell how that is done
///
/// Where its service lets it ask for its successor (GitLab's tokens, kept as `age:NAME`), it does. Else it tells the page where a new
/// one is made, what to ask for, where to put it, and what to revoke; the exit code is 1 then.
///
/// Stand-ins stay the same, and running sessions have a new `age:` value with their next request.
#[derive(Args)]
#[command(after_help = "Examples:
  standin secret rotate work/gitlab --host gitlab.com
  standin secret rotate github")]
pub(crate) struct SecretRotateArguments {
    /// A credential of the configuration, a secret that `standin secret` keeps, a service, or its variable
    pub(crate) name: String,
    /// The server that the credential is of: nobody else is shown it [default: the one that the configuration grants it at]
    #[arg(long, value_name = "HOST", value_parser = standin_model::Host::parse)]
    pub(crate) host: Option<standin_model::Host>,
    /// Read this configuration instead of ~/.config/standin/config.toml
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Run a command in the sandbox
///
/// Without configuration, credentials that Standin knows (ANTHROPIC_API_KEY, OPENAI_API_KEY, GH_TOKEN, …) are found in
/// the environment and shown to the command as stand-ins that work at their own service only. So is the login that the
/// command, if it is an agent, keeps in your home. Package registries can be read. Everything else is refused, with a reason
/// that the command can read.
///
/// Files that hold secrets (.env, .npmrc, .netrc, .aws/credentials, kubeconfig, …) are shown with stand-ins in place of the
/// secrets, read-only; private keys and what cannot be read are hidden.
#[derive(Args, Clone, Default)]
#[command(after_help = "Examples:
  standin run -- claude
  standin run --cow -- claude        (then: standin diff, standin apply)
  standin run --allow docs.rs -- codex
  standin run --publish 3000 --reach 5432 -- npm run dev
  standin run --login claude -- bash
  standin run --login gh -- claude        (with gh, and git at GitHub)
  standin run --secret TOKEN=env:TOKEN@api.example.com -- ./script.sh
  standin run --secret TOKEN=file:.env#TOKEN@api.example.com -- npm start")]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) rules: RuleArguments,
    /// Pass a variable of the environment on as it is
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Vec<String>,
    /// Show a path read-only
    #[arg(long, value_name = "PATH")]
    pub(crate) ro: Vec<PathBuf>,
    /// Show a path writable
    #[arg(long, value_name = "PATH")]
    pub(crate) rw: Vec<PathBuf>,
    /// Show a file that holds secrets as it is, or all below a directory
    #[arg(long, value_name = "PATH")]
    pub(crate) show: Vec<PathBuf>,
    /// Hide a file, or all below a directory
    #[arg(long, value_name = "PATH")]
    pub(crate) hide: Vec<PathBuf>,
    /// Work on a copy: the workspace stays as it is until `standin apply`
    #[arg(long)]
    pub(crate) cow: bool,
    /// Let the command make user namespaces, as Chromium, bubblewrap and agents' own sandboxes do; needs --cow
    #[arg(long, requires = "cow", conflicts_with = "rw")]
    pub(crate) allow_nested: bool,
    /// What isolates the command: native, bwrap (bubblewrap makes the namespaces) or gvisor (a kernel of its own; needs --cow)
    #[arg(long, value_name = "BACKEND", value_parser = Backend::parse)]
    pub(crate) backend: Option<Backend>,
    /// Bring a port of the command's to this host's loopback, and nowhere else
    #[arg(long, value_name = "PORT[:HOSTPORT]", value_parser = parse_publish)]
    pub(crate) publish: Vec<Publish>,
    /// Let the command reach a port of this host's loopback, as localhost:PORT; what it carries is not looked into
    #[arg(long, value_name = "PORT", value_parser = parse_reach)]
    pub(crate) reach: Vec<u16>,
    /// Most memory, such as 8GiB [default: all but an eighth, at least 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = Bound::size)]
    pub(crate) memory: Option<Bound>,
    /// Most processes and threads [default: 8192]
    #[arg(long, value_name = "NUMBER", value_parser = Bound::count)]
    pub(crate) pids: Option<Bound>,
    /// Most processors, such as 1.5 [default: all]
    #[arg(long, value_name = "NUMBER", value_parser = Bound::processors)]
    pub(crate) cpus: Option<Bound>,
    /// Most in /tmp, the home and other private directories together [default: half of the memory]
    #[arg(long, value_name = "SIZE", value_parser = Bound::size)]
    pub(crate) tmp: Option<Bound>,
    /// What stays free on the disks that the command writes to, or it is ended [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = Bound::size)]
    pub(crate) spare: Option<Bound>,
    /// Let the command do this to your terminal: clipboard (set it), title, notifications, palette
    #[arg(long, value_name = "FEATURE", value_parser = TerminalFeature::parse)]
    pub(crate) terminal: Vec<TerminalFeature>,
    /// When a stand-in is sent where it does not belong: refuse (and tell you), revoke it for this session, or stop the session
    #[arg(long, value_name = "REACTION", value_parser = OnLeak::parse)]
    pub(crate) on_leak: Option<OnLeak>,
    /// Put what the configuration says in force whenever its file has changed, as `standin reload` does
    #[arg(long)]
    pub(crate) watch: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Tell what this host can give a sandbox, and how it gets what is missing
///
/// Tries every layer that a sandbox is built of, and says of each whether it is there; if not, why, what that costs, and the
/// command that mends it. The exit code is 1 if `standin run` would refuse to start here. Needs no root.
///
/// With --attack it tries 125 ways out (docs/threats.md): each as an ordinary process, where it must succeed to count, and in
/// a sandbox, where it must not, in a private network with servers of its own that see what gets out. The exit code is 1 if any
/// is open.
#[derive(Args)]
#[command(after_help = "Examples:
  standin doctor
  standin doctor --attack
  standin doctor --attack --backend bwrap
  standin doctor --json | jq -r .mend")]
pub(crate) struct DoctorArguments {
    /// Try to get out of a sandbox in every way that is known
    #[arg(long)]
    pub(crate) attack: bool,
    /// What isolates the sandbox that is attacked: native or bwrap
    #[arg(long, requires = "attack", value_name = "BACKEND", default_value = "native", value_parser = Backend::parse)]
    pub(crate) backend: Backend,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Put what the configuration says now in force in running sessions
///
/// Each session reads the file that it was started with again. What is allowed and denied, presets, conversations, caps, and where its credentials may
/// go can change while it runs; what else has changed needs a new session, and then nothing of the file is taken. So it is if the file has
/// an error: the policy stays as it was, and you are told why. What is open at a host about which the policy says something else now ends.
///
/// The exit code is 1 if a session did not take it. `standin run --watch` does the same whenever the file changes.
#[derive(Args)]
#[command(after_help = "Examples:
  standin reload
  standin reload 20261128-181512-3fa2b1")]
pub(crate) struct ReloadArguments {
    /// Only this session [default: all that are running]
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,
}

/// Show what a session did
///
/// Shows the records of the last session, after what kept it in and which ways out are known to be open in it (by their
/// numbers in docs/threats.md; --json has them whole).
#[derive(Args)]
#[command(after_help = "Examples:
  standin log --denied
  standin log --sessions
  standin log --json --denied | jq -r .host")]
pub(crate) struct LogArguments {
    /// Show this session instead of the last one
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Show denied exchanges only
    #[arg(long)]
    pub(crate) denied: bool,
    /// List sessions
    #[arg(long, conflicts_with_all = ["session", "denied"])]
    pub(crate) sessions: bool,
}

/// Show what a session changed in its copy of the workspace
///
/// Shows what the last session that worked on a copy of this directory changed in it (`standin run --cow`), also while it
/// still runs. What your host would run without being asked (git hooks and settings, settings of agents and editors, start
/// files, CI), what can be executed now and links that lead out come first, and apart.
///
/// The difference can be read by `git apply`. Control characters are escaped; a text that holds some is shown for reading
/// only.
#[derive(Args)]
#[command(after_help = "Examples:
  standin diff --stat
  standin diff src/
  standin diff --json | jq -r 'select(.attention) | .path'")]
pub(crate) struct DiffArguments {
    /// Only what these paths name or hold
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// One line for each change
    #[arg(long)]
    pub(crate) stat: bool,
    /// Print one JSON object a line
    #[arg(long, conflicts_with = "stat")]
    pub(crate) json: bool,
    /// Escape nothing, for `git apply`; not to a terminal
    #[arg(long, conflicts_with_all = ["stat", "json"])]
    pub(crate) raw: bool,
    /// The changes of this session instead of the last one's
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

/// Take over what a session changed in its copy of the workspace
///
/// Takes over what the last session that worked on a copy of this directory changed in it, file by file, each at once or
/// not at all. Interrupted, it can be run again.
///
/// Left out, and listed, is what your host would run without being asked (see `standin diff`), unless it is named as a PATH
/// itself or --executable is given; what was changed on the host since the session began, unless --force is given; and
/// pipes, sockets and devices in any case.
#[derive(Args)]
#[command(after_help = "Examples:
  standin apply src/ Cargo.toml
  standin apply .vscode/tasks.json        (named, it is taken)")]
pub(crate) struct ApplyArguments {
    /// Only what these paths name or hold
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Also what the host may run, without naming each
    #[arg(long)]
    pub(crate) executable: bool,
    /// Also over what was changed on the host since the session began
    #[arg(long)]
    pub(crate) force: bool,
    /// The changes of this session instead of the last one's
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

/// Forget what a session changed in its copy of the workspace
///
/// Forgets what the last session that worked on a copy of this directory changed in it. What was applied stays.
#[derive(Args)]
#[command(after_help = "Examples:
  standin discard")]
pub(crate) struct DiscardArguments {
    /// The changes of this session instead of the last one's
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

/// Find what the next git, editor or agent on this host would run
///
/// Looks through a directory for what runs without being asked for: settings of git that name programs (core.fsmonitor,
/// core.hooksPath, filters, aliases, …), hooks, bare repositories, pointers to other repositories, links that lead out,
/// tasks that run when an editor opens the directory, hooks and servers of agents, .envrc. Nothing of it is run to find out.
///
/// Each is printed with its file and line, and what mends it. The exit code is 1 if there is any. Some may be yours, such as
/// an editor's interpreter; what an agent put there since you last looked is not.
#[derive(Args)]
#[command(after_help = "Examples:
  standin check-repo
  standin check-repo ~/src/cloned --json | jq -r .what")]
pub(crate) struct CheckRepoArguments {
    /// The directory [default: the repository that the current one is in]
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A word: it becomes the name of a section in a file.
fn parse_profile(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    let is_name = !text.is_empty() && text.chars().all(plain);
    if is_name { Ok(text.to_owned()) } else { Err("this is no profile's name".to_owned()) }
}

#[cfg(test)]
mod tests;
