//! The service and the Debian package as an office meets them: the unit is understood and hardened, the
//! package installs, starts nothing, runs a node, and takes no record away when it goes.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use yunling_tests::office::binary;
use yunling_tests::package::{build, ran};
use yunling_tests::repository_root;

/// Exposure in tenths above which `systemd-analyze security` fails; see node/docs/service.md.
const EXPOSURE_MAX: &str = "15";

/// Whether a tool is there; without it the test says so aloud, and fails on a build server.
fn has(tool: &str, package: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()));
    if !found {
        skipped(&format!("no {tool}; install {package}"));
    }
    found
}

fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("!!!!!!!! SKIPPED: {why}");
}

fn unit() -> String {
    std::fs::read_to_string(repository_root().join("node/systemd/yunling.service")).unwrap()
}

#[test]
fn the_unit_says_what_the_node_needs_and_what_it_must_not_do() {
    let unit = unit();
    for line in [
        "User=yunling",
        "Environment=YUNLING_HOME=/var/lib/yunling/home",
        "ConditionPathExists=/var/lib/yunling/home/config.toml",
        "StateDirectory=yunling",
        "StateDirectoryMode=0700",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
        "SystemCallFilter=@system-service",
        "MemoryMax=80%",
        "Restart=on-failure",
        // What `node::run` waits for.
        "KillSignal=SIGTERM",
        "TimeoutStopSec=30",
    ] {
        assert!(unit.lines().any(|l| l == line), "the unit lacks `{line}`");
    }
    let run = std::fs::read_to_string(repository_root().join("node/src/run.rs")).unwrap();
    assert!(run.contains("SignalKind::terminate()"), "the node stops on the signal that the unit sends");
}

#[test]
fn systemd_understands_the_unit_and_finds_it_hardened() {
    if !has("systemd-analyze", "systemd") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yunling.service");
    // The program is not installed here; any other stands in for it.
    std::fs::write(&path, unit().replace("/usr/bin/yunling", "/bin/true")).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("yunling.service:"), "{said}");
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_MAX]).arg(&path);
    let output = security.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{}", said.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// The package, built once for a test.
fn package(folder: &Path) -> Option<PathBuf> {
    if !has("dpkg-deb", "dpkg") || !has("strip", "binutils") {
        return None;
    }
    Some(build(&binary(), folder).unwrap())
}

#[test]
fn the_package_holds_the_program_the_unit_the_documents_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let Some(package) = package(folder.path()) else { return };
    let list = ran(Command::new("dpkg-deb").arg("--contents").arg(&package)).unwrap();
    let mut files: Vec<(&str, &str)> = Vec::new();
    for line in list.lines().filter(|l| l.starts_with('-')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], "root/root", "{line}");
        files.push((words[0], words[5]));
    }
    files.sort_by_key(|(_, path)| *path);
    let read = "-rw-r--r--";
    let document = |name: &str| format!("./usr/share/doc/yunling/{name}");
    let documents =
        ["CHANGELOG.md", "README.md", "README.zh.md", "backup.md", "copyright", "service.md", "storage.md"];
    let mut expected = vec![
        ("-rwxr-xr-x", "./usr/bin/yunling".to_owned()),
        (read, "./usr/lib/systemd/system/yunling.service".to_owned()),
        (read, "./usr/share/bash-completion/completions/yunling".to_owned()),
    ];
    expected.extend(documents.map(|name| (read, document(name))));
    expected.push((read, "./usr/share/fish/vendor_completions.d/yunling.fish".to_owned()));
    expected.push((read, "./usr/share/zsh/vendor-completions/_yunling".to_owned()));
    let expected: Vec<(&str, &str)> = expected.iter().map(|(mode, path)| (*mode, path.as_str())).collect();
    assert_eq!(files, expected);
    let field = |name: &str| ran(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name)).unwrap();
    assert_eq!(field("Package").trim(), "yunling");
    assert_eq!(field("Version").trim(), format!("{}-1", env!("CARGO_PKG_VERSION")));
    // The oldest C library it runs with is the one it says.
    let library = field("Depends").split("libc6 (>= ").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let symbols = ran(Command::new("objdump").arg("-T").arg(binary())).unwrap();
    let number = |version: &str| version.split('.').map(|n| n.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let newest = symbols.split("GLIBC_").skip(1).filter_map(|rest| rest.split(')').next()).map(number).max();
    assert!(newest <= Some(number(&library)), "needs {newest:?}, says {library}");
}

/// On a copy of this machine that lies in memory: `dpkg` writes there and nowhere else.
#[test]
fn the_package_installs_starts_nothing_runs_a_node_and_leaves_the_records_behind() {
    if !has("dpkg", "dpkg") || !has("unshare", "util-linux") || !has("runuser", "util-linux") {
        return;
    }
    if !ran(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        return skipped("only root can install a package");
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(package) = package(folder.path()) else { return };
    let script = repository_root().join("tests/tests/package/install.sh");
    let mut install = Command::new("unshare");
    install
        .args(["--mount", "--pid", "--fork", "--kill-child", "--net", "sh"])
        .arg(script)
        .arg(package)
        .arg(folder.path());
    let output = install.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        return skipped(&format!("no copy of this machine can be made: {said}"));
    }
    println!("{said}");
    assert!(output.status.success() && said.contains("all steps passed"), "{said}");
}
