//! A host whose standard error is the journal's speaks to the journal itself, in its own protocol.

use std::{os::unix::net::UnixDatagram, process::Command};

use crate::{Running, manager::PATIENCE, process::Process, site};

/// In a namespace of its own, the test's socket is where the journal's would be; with standard error as it is, or as the
/// journal's.
const WITHIN: &str = "set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
touch /run/systemd/journal/socket
mount --bind \"$JOURNAL\" /run/systemd/journal/socket
[ -z \"$IS_JOURNAL\" ] || export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)
exec \"$0\" run";

fn may_make_namespaces() -> bool {
    Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none", "/run"])
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn the_journal_gets_entries_with_fields_where_standard_error_is_its_own() {
    if !may_make_namespaces() {
        #[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
        {
            eprintln!("skipped: it takes root and mount namespaces to stand in for the journal");
        }
        return;
    }
    let (site, folder) = (site(), tempfile::tempdir().unwrap());
    let place = folder.path().join("journal");
    let journal = UnixDatagram::bind(&place).unwrap();
    journal.set_read_timeout(Some(PATIENCE)).unwrap();
    let start = |is_journal: &str| {
        let own = site.command(&[]);
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", WITHIN]).arg(own.get_program()).current_dir(site.path("")).env_clear();
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("JOURNAL", &place).env("IS_JOURNAL", is_journal);
        Running { process: Process::start(&mut command) }
    };
    let entry = |event: &str| {
        let wanted = format!("\nEVENT={event}\n");
        loop {
            let mut bytes = vec![0; 65536];
            let length = match journal.recv(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                received => received.unwrap(),
            };
            let entry = String::from_utf8(bytes[..length].to_vec()).unwrap();
            if entry.contains(&wanted) {
                return entry;
            }
        }
    };
    let host = start("yes");
    let opened = entry("feed_opened");
    assert!(
        opened.contains("\nPRIORITY=6\n")
            && opened.contains("\nRULE=a\n")
            && opened.contains("\nSUBSCRIPTION=message_received\n"),
        "{opened}"
    );
    site.emit(1, "<0>x\nRULE=b\n");
    let said = entry("said");
    assert!(said.starts_with("MESSAGE=a: \"one <0>x\\nRULE=b\\n 1\""), "{said}");
    assert!(said.contains("\nSYSLOG_IDENTIFIER=olvid-rules\n") && !said.contains("\nRULE=b"), "{said}");
    host.process.terminate();
    entry("stopped");
    let (status, printed) = host.process.ended();
    assert_eq!((status.code(), printed), (Some(0), vec![]), "nothing is told twice");
    // Where standard error is another's, that is where the log goes.
    let host = start("");
    host.process.until("a line", |line| line.contains("info  a: stream open").then_some(()));
    host.process.terminate();
    host.process.ended();
    journal.set_nonblocking(true).unwrap();
    assert!(journal.recv(&mut [0; 16]).is_err());
}
