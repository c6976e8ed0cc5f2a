//! Builds the Debian package from the same table that `cargo deb` reads (`cli/Cargo.toml`), with
//! `dpkg-deb` and nothing from a network: cargo-deb itself takes minutes to build.
//!
//! In: the release binary. Out: one `.deb`. What is packed is only what the table names.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repository_root;

/// Shells with completions: name, and file in `target/completions` that the table names.
const SHELLS: [(&str, &str); 3] = [("bash", "yunling.bash"), ("zsh", "_yunling"), ("fish", "yunling.fish")];

type Fault = Box<dyn std::error::Error>;

/// Builds the package of `binary` into the folder `out`.
pub fn build(binary: &Path, out: &Path) -> Result<PathBuf, Fault> {
    let root = repository_root();
    let read =
        |path: &str| -> Result<toml::Table, Fault> { Ok(fs::read_to_string(root.join(path))?.parse()?) };
    let version = text(&read("Cargo.toml")?["workspace"]["package"], "version")?;
    let table = read("cli/Cargo.toml")?;
    let deb = &table["package"]["metadata"]["deb"];
    completions(binary, &root.join("target/completions"))?;
    let stage = tempfile::tempdir()?;
    for asset in list(deb, "assets")? {
        place(asset, binary, stage.path())?;
    }
    let control = stage.path().join("DEBIAN");
    fs::create_dir(&control)?;
    let architecture = ran(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
    fs::write(control.join("control"), control_file(deb, &version, &architecture, &table, stage.path())?)?;
    for script in fs::read_dir(root.join("cli").join(text(deb, "maintainer-scripts")?))? {
        let script = script?.path();
        let name = script.file_name().unwrap_or_default();
        if ["postinst", "prerm", "postrm", "preinst"].iter().any(|known| name == *known) {
            copy(&script, &control.join(name), 0o755)?;
        }
    }
    open_folders(stage.path())?;
    fs::create_dir_all(out)?;
    let package = out.join(format!("{}_{version}-1_{architecture}.deb", text(deb, "name")?));
    ran(Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "-z3", "--build"])
        .arg(stage.path())
        .arg(&package))?;
    Ok(package)
}

fn completions(binary: &Path, folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder)?;
    for (shell, file) in SHELLS {
        // Whole or not at all: two builds at once must not read each other's half.
        let mut made = tempfile::NamedTempFile::new_in(folder)?;
        made.write_all(ran(Command::new(binary).args(["completions", shell]))?.as_bytes())?;
        made.persist(folder.join(file))?;
    }
    Ok(())
}

/// Lays one `[source, target, mode]` into the stage.
fn place(asset: &toml::Value, binary: &Path, stage: &Path) -> Result<(), Fault> {
    let parts: Vec<&str> = asset.as_array().into_iter().flatten().filter_map(toml::Value::as_str).collect();
    let [source, target, mode] = parts[..] else {
        return Err(format!("asset {asset} has three texts").into());
    };
    // As in cargo-deb: what lies in target/release is what was built, wherever that is.
    let program = source.starts_with("target/release/");
    let from = if program { binary.to_path_buf() } else { repository_root().join("cli").join(source) };
    let mut to = stage.join(target);
    if target.ends_with('/') {
        to.push(Path::new(source).file_name().unwrap_or_default());
    }
    fs::create_dir_all(to.parent().unwrap_or(stage))?;
    copy(&from, &to, u32::from_str_radix(mode, 8)?)?;
    if program {
        // Line tables are for those who build, and four fifths of the file.
        ran(Command::new("strip").arg("--strip-unneeded").arg(&to))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), Fault> {
    fs::copy(from, to).map_err(|e| format!("{}: {e}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Whatever the mask of the caller is, others may enter the folders of a package.
fn open_folders(folder: &Path) -> std::io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}

fn control_file(
    deb: &toml::Value,
    version: &str,
    architecture: &str,
    table: &toml::Table,
    stage: &Path,
) -> Result<String, Fault> {
    let mut control = String::new();
    let kib = size(stage)?.div_ceil(1024);
    for (name, value) in [
        ("Package", text(deb, "name")?),
        ("Version", format!("{version}-1")),
        ("Architecture", architecture.to_owned()),
        ("Maintainer", text(deb, "maintainer")?),
        ("Installed-Size", kib.to_string()),
        ("Depends", text(deb, "depends")?),
        ("Section", text(deb, "section")?),
        ("Priority", text(deb, "priority")?),
        ("Description", text(&table["package"], "description")?),
    ] {
        writeln!(control, "{name}: {value}")?;
    }
    for line in text(deb, "extended-description")?.lines() {
        writeln!(control, " {line}")?;
    }
    Ok(control)
}

fn size(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

fn text(table: &toml::Value, key: &str) -> Result<String, Fault> {
    let value = table.get(key).and_then(toml::Value::as_str);
    Ok(value.ok_or_else(|| format!("`{key}` is not a text in the table of the package"))?.to_owned())
}

fn list<'a>(table: &'a toml::Value, key: &str) -> Result<&'a [toml::Value], Fault> {
    let value = table.get(key).and_then(toml::Value::as_array);
    Ok(value.ok_or_else(|| format!("`{key}` is not a list in the table of the package"))?)
}

/// Runs a command; what it says on standard output, or why it failed.
pub fn ran(command: &mut Command) -> Result<String, Fault> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
    }
}
