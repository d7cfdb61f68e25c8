//! The program's commands: what is typed, and the composition of everything below into what was asked for.
//!
//! Owns arguments, settings, signals and exit codes. [`main`](run) returns a code; only `main.rs` ends the process.

#![expect(
    clippy::doc_markdown,
    reason = "the comments of arguments are the help that `--help` prints, without Markdown"
)]

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

mod caps;
pub mod catalog;
mod chat;
mod check;
mod clients;
pub mod control;
mod dev;
mod doctor;
mod environment;
mod host;
mod init;
pub mod listen;
mod logging;
mod output;
mod pages;
mod serve;
mod service;
mod settings;
mod simulate;
mod status;
mod test;
pub mod types;

use crate::daemon::Settings;

/// Exit codes, as the README lists them.
mod exit {
    /// A user's mistake in rules or scripts.
    pub(super) const MISTAKE: u8 = 1;
    /// Bad usage: arguments or settings.
    pub(super) const USAGE: u8 = 2;
    /// What the command needs to talk to is not there or does not answer (`EX_UNAVAILABLE`).
    pub(super) const UNAVAILABLE: u8 = 69;
    /// A file or socket that cannot be used (`EX_IOERR`).
    pub(super) const IO: u8 = 74;
    /// What the command needs to talk to is for other users (`EX_NOPERM`).
    pub(super) const DENIED: u8 = 77;
}

#[derive(Parser)]
#[command(name = "olvid-rules", version, about = "A host for Olvid bots: YAML rules, Lua handlers.", long_about = LONG)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const LONG: &str = "\
A host for Olvid bots. Rule files bind the daemon's notifications to Lua handlers; the host keeps every stream open, \
calls the handlers and lets them answer.

Start here: `olvid-rules dev` runs rules.yaml against a simulated daemon and lets you chat with your bot.";

#[derive(Subcommand)]
enum Command {
    /// Load rules, connect to the daemon and serve
    Run(Run),
    /// Say everything that can be known of rules without a daemon
    Check(Check),
    /// Show subscriptions and commands with their parameters and fields
    Catalog {
        /// A subscription, command or datatype: message_received, message_send, Message
        name: Option<String>,
    },
    /// Print the JSON Schema of rule files, or of scenario files, by which editors complete and check them
    Schema {
        /// Of which files
        #[arg(value_enum, default_value_t)]
        of: Written,
    },
    /// Print what scripts can reach as annotations for Lua language servers
    Types(Types),
    /// Chat with your bot: rules on a simulated daemon
    Dev(Dev),
    /// Play the scenarios of rules on a simulated daemon
    ///
    /// A scenario file is called NAME.test.yaml. Without a path, those in the current directory and in `tests` are played;
    /// of a directory, those in it and in its `tests`.
    #[command(after_long_help = crate::scenario::FORMAT)]
    Test(Test),
    /// Run the simulated daemon alone
    Simulate(Simulate),
    /// Show what a running host does: its rules, streams and last reload
    Status(Status),
    /// Have a running host load its rules again
    Reload(Reload),
    /// Say the first thing that is wrong on the way to the daemon, and what to do
    ///
    /// Goes the way of `run`: rules, settings, key, address, connection, TLS, daemon, authentication, version, and each
    /// subscription of the rules, which is opened for a moment. Nothing is handled and nothing is sent; what comes in that
    /// moment counts as seen by a client. Exit codes: 1 a mistake in rules, 2 in settings, 69 the daemon cannot be reached,
    /// 77 it refuses.
    Doctor(Doctor),
    /// Make a project to begin with: rules, scripts, settings of editors
    Init {
        /// The folder; it may be there, and no file in it is written over
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print a script with which a shell completes commands and flags
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder, a page for each command
    Man {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

#[derive(Args)]
struct Rules {
    /// Rule files, and directories of them
    #[arg(value_name = "PATH", default_value = "rules.yaml")]
    paths: Vec<PathBuf>,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    logging: logging::RunLogging,
    /// Seconds that running handlers get to finish when the host stops
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = "Options")]
    grace: Duration,
    /// Handle at the start what came while the host was not running, for all rules whose subscription can tell and that do
    /// not say `catch_up: false`
    #[arg(long, help_heading = "Options")]
    catch_up: bool,
    /// Where the host keeps how far each rule has come [env: STATE_DIRECTORY]
    #[arg(long, value_name = "DIR", help_heading = "Options")]
    state_directory: Option<PathBuf>,
    /// Answer over HTTP with metrics, health and status: at an address and port such as 127.0.0.1:9464, or a socket such as
    /// unix:/run/olvid-rules/http; may be given twice
    #[arg(long, value_name = "ADDR", help_heading = "Options")]
    listen: Vec<listen::Address>,
    #[command(flatten)]
    control: ControlSocket,
    #[command(flatten)]
    caps: caps::Flags,
}

#[derive(Args)]
struct Check {
    #[command(flatten)]
    rules: Rules,
    /// How mistakes are printed: for people on standard error, or on standard output as one JSON array, a SARIF log, or
    /// annotations of a GitHub workflow
    #[arg(long, default_value = "human")]
    format: Told,
    #[command(flatten)]
    caps: caps::Flags,
}

#[derive(Args)]
struct Types {
    /// A folder to write them to, as olvid.lua, instead of printing them
    #[arg(long, value_name = "DIR", conflicts_with = "format")]
    output: Option<PathBuf>,
    /// Annotations, or the reference of all globals and methods
    #[arg(long, default_value = "lua")]
    format: TypesForm,
}

/// The files that people write.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Written {
    #[default]
    Rules,
    Scenarios,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TypesForm {
    Lua,
    Markdown,
}

#[derive(Args)]
struct Dev {
    #[command(flatten)]
    rules: Rules,
    /// Write the chat into a new file, as a scenario that `test` plays. Meanwhile time stands still but for handlers that
    /// sleep, what scripts save is not kept, and files that change are not loaded again
    #[arg(long, value_name = "FILE", help_heading = "Options")]
    record: Option<PathBuf>,
    #[command(flatten)]
    logging: logging::Logging,
    #[command(flatten)]
    caps: caps::Flags,
}

#[derive(Args)]
struct Test {
    /// Scenario files, and directories of them
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Play only scenarios with this in their name
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// What is printed: a line for each scenario, or JUnit's XML
    #[arg(long, default_value = "human")]
    format: test::Format,
    /// Play them again whenever rules, scripts or scenarios change
    #[arg(long, conflicts_with = "format")]
    watch: bool,
    #[command(flatten)]
    caps: caps::Flags,
}

#[derive(Args)]
struct Simulate {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: std::net::SocketAddr,
    /// An identity and its client key; all are contacts of each other [default: bot:bot alice:alice bob:bob]
    #[arg(long = "identity", value_name = "NAME:KEY", value_parser = identity)]
    identities: Vec<(String, String)>,
    /// An administrator's key
    #[arg(long, value_name = "KEY")]
    admin_key: Option<String>,
}

#[derive(Args)]
struct Status {
    /// Print one JSON object with all that is known
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    control: ControlSocket,
}

#[derive(Args)]
struct Doctor {
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    connection: Connection,
    /// Look at the packaged service, or one of its instances: its rules, key and variables in /etc/olvid-rules
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with = "paths",
        help_heading = "Options"
    )]
    service: Option<String>,
    /// How it is printed: a line for each step, or one JSON object
    #[arg(long, default_value = "human", help_heading = "Options")]
    format: Form,
    #[command(flatten)]
    control: ControlSocket,
}

#[derive(Args)]
struct Reload {
    /// Wait for the outcome; exit 1 where the rules are rejected
    #[arg(long)]
    wait: bool,
    /// How the outcome is printed: for people, or one JSON object on standard output
    #[arg(long, default_value = "human")]
    format: Form,
    #[command(flatten)]
    control: ControlSocket,
}

#[derive(Args)]
struct ControlSocket {
    /// The host's control socket [env: OLVID_RULES_CONTROL_SOCKET] [default: in the runtime directory]
    #[arg(long = "control-socket", value_name = "PATH", help_heading = "Options")]
    path: Option<PathBuf>,
}

impl ControlSocket {
    fn surroundings(&self) -> control::Surroundings {
        control::Surroundings::of_process(self.path.as_deref())
    }
}

/// Where the daemon is and who we are. Each has a variable of the published client, also read from a `.env` file found
/// upwards; the flag wins over the environment, and that over the file.
#[derive(Args)]
#[command(next_help_heading = "Connection")]
struct Connection {
    /// The daemon [env: OLVID_DAEMON_URL] [default: http://localhost:50051]
    #[arg(long, value_name = "URL")]
    daemon_url: Option<String>,
    /// A file with the client key [env: OLVID_CLIENT_KEY, OLVID_CLIENT_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    client_key_file: Option<PathBuf>,
    /// A file with an administrator's key [env: OLVID_ADMIN_CLIENT_KEY, OLVID_ADMIN_CLIENT_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    admin_client_key_file: Option<PathBuf>,
    /// The identity that an administrator's key acts for [env: OLVID_IDENTITY_ID]
    #[arg(long, value_name = "ID")]
    identity_id: Option<u64>,
    /// The daemon's own certificate [env: OLVID_SERVER_CERTIFICATE_PATH]
    #[arg(long, value_name = "PEM")]
    server_certificate: Option<PathBuf>,
    /// The authority behind the daemon's certificate [env: OLVID_ROOT_CERTIFICATE_PATH]
    #[arg(long, value_name = "PEM")]
    root_certificate: Option<PathBuf>,
    /// Our certificate [env: OLVID_CERTIFICATE_CHAIN_PATH]
    #[arg(long, value_name = "PEM")]
    certificate_chain: Option<PathBuf>,
    /// The key of our certificate [env: OLVID_PRIVATE_KEY_PATH]
    #[arg(long, value_name = "PEM")]
    private_key: Option<PathBuf>,
    /// The largest message taken from the daemon, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Settings::MAX_MESSAGE_SIZE)]
    max_message_size: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Human,
    Json,
}

/// How mistakes are printed.
#[derive(Clone, Copy, ValueEnum)]
enum Told {
    Human,
    Json,
    Sarif,
    Github,
}

/// Does what the arguments of the process ask for. To be called first in `main`: no other thread may be there yet.
pub fn run() -> ExitCode {
    environment::close();
    let inherited = environment::take();
    let code = match Cli::parse().command {
        Command::Run(arguments) => serve::run(&arguments, &inherited),
        Command::Check(arguments) => check::run(&arguments),
        Command::Catalog { name } => catalog::run(name.as_deref()),
        Command::Schema { of } => {
            catalog::schema(of);
            Ok(())
        }
        Command::Types(arguments) => types::run(&arguments),
        Command::Dev(arguments) => {
            if arguments.record.is_some() {
                // As when it is played.
                environment::in_utc();
            }
            dev::run(&arguments)
        }
        Command::Test(arguments) => {
            environment::in_utc();
            test::run(&arguments)
        }
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Status(arguments) => status::show(&arguments),
        Command::Reload(arguments) => status::reload(&arguments),
        Command::Doctor(arguments) => doctor::run(arguments, &inherited),
        Command::Init { folder } => init::run(&folder),
        Command::Completions { shell } => {
            pages::completions(shell);
            Ok(())
        }
        Command::Man { folder } => pages::man(&folder),
    };
    code.err().map_or(ExitCode::SUCCESS, ExitCode::from)
}

/// A command's end: well, or with an exit code.
type Done = Result<(), u8>;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected seconds, such as 10 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn identity(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() => Ok((name.to_owned(), key.to_owned())),
        _ => Err("expected NAME:KEY, such as bot:secret".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
