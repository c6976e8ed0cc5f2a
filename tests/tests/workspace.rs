//! The shape of the workspace, read from `cargo metadata`, `cargo tree`, `deny.toml` and the
//! sources: which crate may depend on which, what may be built in, under which licences, and that
//! the protocol stays pure. A wrong arrow fails here before anybody gets used to it.

#![allow(clippy::unwrap_used)]

#[path = "workspace/licence.rs"]
mod licence;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use yunling_tests::repository_root;

/// A file of more lines is hard to read in one go; the house rule asks for about 500.
const SOURCE_LINES_MAX: usize = 700;

fn metadata() -> Metadata {
    let manifest = repository_root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).other_options(["--locked".to_owned()]).exec().unwrap()
}

fn toml_file(path: &str) -> toml::Table {
    std::fs::read_to_string(repository_root().join(path)).unwrap().parse().unwrap()
}

/// Names of one list of strings, or of one field of a list of tables.
fn names(value: &toml::Value, field: &str) -> BTreeSet<String> {
    let one = |item: &toml::Value| item.as_str().or_else(|| item.get(field)?.as_str()).unwrap().to_owned();
    value.as_array().unwrap().iter().map(one).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Lines `name version` that `cargo tree` prints: what is really built, on any platform.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(repository_root())
        .args(["tree", "--locked", "--target", "all", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Our crates that `package` names in its manifest, for any kind of dependency or for one.
fn ours(package: &Package, kind: Option<DependencyKind>) -> BTreeSet<String> {
    let wanted = package.dependencies.iter().filter(|d| kind.is_none_or(|kind| d.kind == kind));
    wanted.map(|d| d.name.clone()).filter(|name| name.starts_with("yunling-")).collect()
}

#[test]
fn arrows_between_our_crates_point_one_way() {
    let metadata = metadata();
    let members: BTreeMap<String, &Package> =
        metadata.workspace_packages().into_iter().map(|p| (p.name.to_string(), p)).collect();
    let allowed: [(&str, &[&str]); 5] = [
        ("yunling-protocol", &[]),
        ("yunling-node", &["yunling-protocol"]),
        ("yunling-cli", &["yunling-node", "yunling-protocol"]),
        ("yunling-simulations", &["yunling-protocol"]),
        // The tests drive the built binary. The protocol is there for vectors, and both for the decoders,
        // which must be reached with bytes that no honest program sends.
        ("yunling-tests", &["yunling-node", "yunling-protocol"]),
    ];
    let known: BTreeSet<String> = allowed.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(members.keys().cloned().collect::<BTreeSet<_>>(), known, "members of the workspace");
    for (name, allowed) in allowed {
        let used = ours(members[name], None);
        let wrong: Vec<_> = used.difference(&set(allowed)).cloned().collect();
        assert!(wrong.is_empty(), "{name} must not depend on {wrong:?}");
    }
    let library = repository_root().join("tests/src");
    for path in sources(&library).iter().filter(|path| !path.starts_with(library.join("decoders"))) {
        let code = code_of(path);
        let names = code.contains("yunling_node") || code.contains("yunling_protocol");
        assert!(!names, "{}: only the decoders link our crates; all else drives the binary", path.display());
    }
    let default = metadata.workspace_default_packages();
    assert_eq!(default.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["yunling-cli"]);
}

#[test]
fn every_version_stands_in_the_one_table_of_the_workspace() {
    for member in ["protocol", "node", "cli", "tests", "simulations"] {
        let manifest = toml_file(&format!("{member}/Cargo.toml"));
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(entries) = manifest.get(section).and_then(toml::Value::as_table) else { continue };
            for (name, entry) in entries {
                let inherited = entry.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    inherited,
                    Some(true),
                    "{member}: {name} must take its version from the workspace"
                );
            }
        }
        let lints = manifest["lints"].get("workspace").and_then(toml::Value::as_bool);
        assert_eq!(lints, Some(true), "{member} must take the lints of the workspace");
    }
    let table = toml_file("Cargo.toml");
    for (name, entry) in table["workspace"]["dependencies"].as_table().unwrap() {
        assert!(entry.get("git").is_none(), "{name} comes from git");
    }
}

#[test]
fn every_licence_is_permissive_or_an_exception_with_its_reason() {
    let rules = toml_file("deny.toml");
    let allowed = names(&rules["licenses"]["allow"], "");
    let exceptions = names(&rules["licenses"]["exceptions"], "crate");
    // The words stand here too, so that nobody widens the file without meaning to.
    let expected = ["Apache-2.0", "BSD-3-Clause", "ISC", "MIT", "Unicode-3.0", "Zlib"];
    assert_eq!(allowed, set(&expected));
    // Root certificates are data under a permissive licence for data; the rest is never built.
    let data = "webpki-roots";
    assert_eq!(exceptions, set(&["attohttpc", data]));

    let built = tree(&["--workspace", "--edges", "normal,build,dev"]);
    let mut wrong = Vec::new();
    for package in &metadata().packages {
        let name = package.name.as_str();
        let text = package.license.as_deref().unwrap_or_default();
        if licence::satisfied(text, &allowed) {
            assert!(
                !exceptions.contains(name),
                "{name} is allowed by its licence {text} and needs no exception"
            );
        } else if !exceptions.contains(name) {
            wrong.push(format!("{name} {}: `{text}`", package.version));
        }
    }
    assert!(wrong.is_empty(), "licences outside the list:\n{}", wrong.join("\n"));
    let of_data = metadata().packages.into_iter().filter(|p| p.name == data).filter_map(|p| p.license);
    assert_eq!(of_data.collect::<BTreeSet<_>>(), set(&["CDLA-Permissive-2.0"]));
    for name in exceptions.into_iter().filter(|name| name != data) {
        assert!(!built.contains(&name), "{name} is excepted because it is never built, but it is built now");
    }
}

#[test]
fn nothing_banned_is_built_and_the_wrapped_crates_come_from_where_they_may() {
    let rules = toml_file("deny.toml");
    let built = tree(&["--workspace", "--edges", "normal,build,dev"]);
    let banned = rules["bans"]["deny"].as_array().unwrap();
    for needed in ["openssl-sys", "native-tls", "ring"] {
        assert!(names(&rules["bans"]["deny"], "crate").contains(needed), "deny.toml must ban {needed}");
    }
    for ban in banned {
        let name = ban["crate"].as_str().unwrap();
        if !built.contains(name) {
            continue;
        }
        let wrappers = ban.get("wrappers").map(|w| names(w, "")).unwrap_or_default();
        let mut users =
            tree(&["--workspace", "--edges", "normal,build,dev", "--invert", name, "--depth", "1"]);
        users.remove(name);
        let wrong: Vec<_> = users.difference(&wrappers).collect();
        assert!(wrong.is_empty(), "{name} is banned, but built for {wrong:?}");
    }
}

#[test]
fn everything_comes_from_the_public_registry() {
    let rules = toml_file("deny.toml");
    assert!(rules["sources"]["allow-git"].as_array().unwrap().is_empty());
    for key in ["unknown-registry", "unknown-git"] {
        assert_eq!(rules["sources"][key].as_str(), Some("deny"));
    }
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    for package in &metadata().packages {
        let source = package.source.as_ref().map(|source| source.repr.as_str());
        let own = package.name.starts_with("yunling-");
        assert!(source == if own { None } else { Some(registry) }, "{} comes from {source:?}", package.name);
    }
}

/// An advisory is ignored for one crate and one version line; when that crate goes, so does the entry.
#[test]
fn ignored_advisories_are_those_of_crates_still_locked() {
    let known: [(&str, &str, &str); 4] = [
        ("RUSTSEC-2021-0127", "serde_cbor", "0.11"),
        ("RUSTSEC-2025-0057", "fxhash", "0.2"),
        ("RUSTSEC-2024-0384", "instant", "0.1"),
        ("RUSTSEC-2024-0436", "paste", "1.0"),
    ];
    let rules = toml_file("deny.toml");
    let ignored = &rules["advisories"]["ignore"];
    let ids = known.iter().map(|(id, _, _)| *id).collect::<Vec<_>>();
    assert_eq!(names(ignored, "id"), set(&ids), "deny.toml and this table name the same advisories");
    for entry in ignored.as_array().unwrap() {
        assert!(
            entry["reason"].as_str().unwrap().contains("; "),
            "{entry}: say why it is bearable and what ends it"
        );
    }
    let packages = metadata().packages;
    for (id, name, line) in known {
        let locked = packages.iter().any(|p| p.name == name && p.version.to_string().starts_with(line));
        assert!(locked, "{id}: {name} {line} is no longer locked, so the entry must go");
    }
}

#[test]
fn the_protocol_links_nothing_that_has_a_clock_a_socket_a_disk_or_dice() {
    let linked = tree(&["--package", "yunling-protocol", "--edges", "normal"]);
    for name in
        ["tokio", "libp2p", "rand", "getrandom", "sled", "mio", "socket2", "rustix", "tracing", "rayon"]
    {
        assert!(!linked.contains(name), "the protocol links {name}");
    }
    assert!(linked.len() < 60, "the protocol links {} crates: {linked:?}", linked.len());
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A source without its comments and its unit tests, which stand last.
fn code_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_protocol_source_names_no_clock_disk_network_thread_or_unordered_map() {
    let forbidden = [
        "std::time",
        "SystemTime",
        "Instant::",
        "std::fs",
        "File::",
        "std::net",
        "std::thread",
        "thread::",
        "std::env",
        "std::process",
        "HashMap",
        "HashSet",
        "RandomState",
        "async fn",
        ".await",
        "println!",
        "eprintln!",
        "dbg!",
        "unsafe ",
        "static mut",
    ];
    let files = sources(&repository_root().join("protocol/src"));
    assert!(files.len() > 20, "the sources were found");
    for path in files.iter().filter(|path| !path.ends_with("tests.rs")) {
        let code = code_of(path);
        for word in forbidden {
            assert!(!code.contains(word), "{}: `{word}` has no place in the protocol", path.display());
        }
    }
}

#[test]
fn no_source_file_is_too_long_to_read_and_none_is_called_mod() {
    for member in ["protocol", "node", "cli", "tests", "simulations"] {
        for path in sources(&repository_root().join(member).join("src")) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines < SOURCE_LINES_MAX, "{} has {lines} lines", path.display());
            assert!(!path.ends_with("mod.rs"), "{}: a module lies beside its folder", path.display());
        }
    }
}

#[test]
fn the_top_level_holds_only_the_agreed_names() {
    let agreed = [
        // The five crates.
        "protocol",
        "node",
        "cli",
        "tests",
        "simulations",
        // What people read.
        "README.md",
        "README.zh.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE",
        // What tools expect here.
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "deny.toml",
        ".ci",
        ".gitignore",
        ".git",
        "target",
    ];
    let agreed = set(&agreed);
    for entry in std::fs::read_dir(repository_root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(agreed.contains(&name), "`{name}` at the top level was not agreed");
    }
}

/// A promise of SECURITY.md stands on a test: each name in backticks of that shape is one.
#[test]
fn every_test_that_security_names_exists() {
    let page = std::fs::read_to_string(repository_root().join("SECURITY.md")).unwrap();
    let mut code = String::new();
    for member in ["protocol", "node", "cli", "tests", "simulations"] {
        for path in sources(&repository_root().join(member)) {
            code.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let is_name = |word: &&str| {
        word.matches('_').count() >= 3
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let named: BTreeSet<&str> = page.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(named.len() > 20, "a line without its test: {}", named.len());
    for name in named {
        assert!(code.contains(&format!("fn {name}(")), "SECURITY.md names `{name}`, which is no test");
    }
}
