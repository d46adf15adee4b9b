//! The command line.

use crate::config::{Flags, InputName, REFERENCE, Settings, Span};
use crate::{demo, import, policy, probe, server};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use weir_auth::key::Secret;

/// Live streaming on your own machine: RTMP in, HLS out, in one program.
///
/// Start with `weir demo`, then open the address it prints.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    ///
    /// Encoders publish to rtmp://HOST/live with the stream key of an input; viewers open
    /// http://HOST:8080/NAME/watch, or any HLS player
    /// http://HOST:8080/NAME/manifest/video.m3u8. Every flag is also a key of the
    /// configuration file: see `weir config print`.
    #[command(verbatim_doc_comment)]
    Serve(Flags),
    /// Run the server with a built-in publisher, to see a live stream at once
    ///
    /// Publishes a moving picture with a clock, and a tone, as the stream `clock`. Keeps one
    /// hour of it. Takes the same flags as `serve`.
    #[command(verbatim_doc_comment)]
    Demo(Flags),
    /// Show tracks, codecs, keyframes, timestamps and faults of a file or an HLS stream
    Probe {
        /// FLV or MP4 file, or the http:// address of an HLS playlist
        input: String,
    },
    /// Print, check or import the configuration, or make a stream key
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make a stream key that is good for a while, signed by a key of an input
    ///
    /// Prints what goes into the encoder's stream key: NAME?expires=…&sig=…. Publishing may
    /// begin until then, and goes on as long as it likes.
    #[command(verbatim_doc_comment)]
    Sign {
        /// Name of the input
        name: InputName,
        /// The file with the input's signing_keys
        #[arg(long, value_name = "FILE", default_value = "weir.toml")]
        config: PathBuf,
        /// How long publishing may begin
        #[arg(long, value_name = "TIME", default_value = "24h")]
        valid: Span,
        /// In Tencent's form, txSecret and txTime, by the first of tencent_keys
        #[arg(long)]
        tencent: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the commented reference configuration
    Print,
    /// Say what is wrong with a configuration file, with line numbers
    Check {
        /// The file
        #[arg(long, value_name = "FILE", default_value = "weir.toml")]
        config: PathBuf,
    },
    /// Print what an nginx.conf with nginx-rtmp means to weir, as a configuration
    ///
    /// What weir does not have becomes a comment with its line and the reason.
    Import {
        /// nginx's configuration
        file: PathBuf,
    },
    /// Make a random stream key, and the hash that goes into the configuration
    Key,
}

/// Runs what the command line asks for.
pub fn run() -> Result<(), String> {
    match Cli::parse().command {
        Command::Serve(flags) => server::run(&Settings::load(&flags)?),
        Command::Demo(flags) => demo::run(&flags),
        Command::Probe { input } => probe::run(&input),
        Command::Config(ConfigCommand::Print) => {
            print!("{REFERENCE}");
            Ok(())
        }
        Command::Config(ConfigCommand::Check { config }) => {
            let settings = load(&config)?;
            policy::policy(&settings, Vec::new())?;
            println!("{} is fine", config.display());
            Ok(())
        }
        Command::Config(ConfigCommand::Import { file }) => {
            print!("{}", import::import(&file)?);
            Ok(())
        }
        Command::Config(ConfigCommand::Key) => {
            let key = Secret::generate().map_err(|e| e.to_string())?;
            println!("stream key (for the encoder):     {}", key.expose());
            println!("key_hash (for the configuration): {}", key.hash());
            Ok(())
        }
        Command::Sign {
            name,
            config,
            valid,
            tencent,
        } => {
            let time = (valid, weir_live::clock::now().utc);
            let key = policy::signed_key(&load(&config)?, &name.0, time, tencent)?;
            println!("{key}");
            Ok(())
        }
    }
}

/// What `weir serve --config FILE` would take from the file.
fn load(config: &Path) -> Result<Settings, String> {
    Settings::load(&Flags {
        config: Some(config.to_owned()),
        ..Flags::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn open_is_a_flag_without_a_value() {
        let cli = Cli::try_parse_from(["weir", "serve", "--open", "--http", "off"]).unwrap();
        let Command::Serve(flags) = cli.command else {
            panic!("not serve")
        };
        assert_eq!(flags.open, Some(true));
        assert_eq!(flags.http.unwrap().0, weir_net::Address::Off);
    }
}
