//! Every decoder of bytes that others wrote, each with what must hold of it for any input.
//!
//! In: any bytes. A decoder here returns, or it panics because a promise is broken: it panicked,
//! what it took does not encode to the same bytes, a cap does not hold, or it used far more memory
//! than it was given. The fuzz targets (`tests/fuzz`) and the stable test (`tests/decoders.rs`) run
//! the same functions. This is the one place of the tests' library that links our other crates.

mod files;
mod logs;
mod objects;
mod rows;
mod texts;
mod wrap;

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};

use peak_alloc::PeakAlloc;

/// Counts what is allocated; the memory of a decoder is part of its promise.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Panics of code that is not a foreign reader's; see [`watch_panics`].
static OWN_PANICS: AtomicUsize = AtomicUsize::new(0);

/// Takes any bytes; panics when a promise is broken.
pub type Decoder = fn(&[u8]);

/// Name and decoder. The name is also the fuzz target's and its folder of seeds.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("statement", objects::statement),
    ("message", objects::message),
    ("card", objects::card),
    ("roster", objects::roster),
    ("proof", objects::proof),
    ("frame", objects::frame),
    ("request", objects::request),
    ("bundle", objects::bundle),
    ("row", rows::row),
    ("text", texts::text),
    ("config", texts::config),
    ("sheet", files::sheet),
    ("backup", files::backup),
    ("status-list", objects::status_list),
    ("trust-pack", objects::trust_pack),
    ("log", logs::log),
];

/// Most bytes a decoder may hold at once for an input of `len` bytes.
///
/// A CBOR value of one byte becomes a `Value` of 32 bytes, twice while a list grows and twice in the
/// maps of two layers; signing and encoding again add a few copies. The others say their reason.
fn memory_bytes_max(name: &str, bytes: &[u8]) -> usize {
    const KIB: usize = 1024;
    match name {
        // A row of a backup is read whole, at most 1 MiB of it; blocks of 256 KiB.
        "backup" => 4 * KIB * KIB + 256 * bytes.len(),
        // A package may unfold to 256 MiB, and what it holds becomes cells.
        "sheet" if bytes.starts_with(b"PK") => 1024 * KIB * KIB,
        // An old workbook names its cells sparsely; the guard in front allows this much.
        "sheet" if bytes.starts_with(b"\xd0\xcf\x11\xe0") => 512 * KIB * KIB,
        // A list may unpack to 1 MiB, a vector doubles while it grows, and ours is packed again; where
        // there are several they are looked at one after the other.
        "status-list" | "frame" | "trust-pack" => 6 * KIB * KIB + 512 * bytes.len(),
        // A line of two bytes becomes a row with its cell, its verdict and its report.
        "sheet" => 4 * KIB * KIB + 2 * KIB * bytes.len(),
        // Tables and keys of one letter, each with its place in the file for the message.
        "config" => 512 * KIB + 2 * KIB * bytes.len(),
        _ => 512 * KIB + 512 * bytes.len(),
    }
}

/// Runs the decoder `name` over `bytes`.
///
/// # Panics
/// When the decoder breaks a promise, or no decoder has this name.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, decode) =
        DECODERS.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no decoder {name}"));
    wrap::trust();
    let panics = OWN_PANICS.load(Ordering::Relaxed);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    decode(bytes);
    let used = MEMORY.peak_usage().saturating_sub(before);
    let max = memory_bytes_max(name, bytes);
    assert!(used <= max, "{name}: {} bytes made it hold {used}, allowed are {max}", bytes.len());
    // A panic of ours that a net under a foreign reader caught is still a fault of ours.
    assert_eq!(OWN_PANICS.load(Ordering::Relaxed), panics, "{name}: a panic of our own was caught");
}

/// From now on panics of readers of foreign formats, which the node catches on purpose, are neither
/// shown nor counted; all others are counted and go on to the hook set before.
pub fn watch_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let foreign = info.location().is_some_and(|at| at.file().contains("/registry/src/"));
        if !foreign {
            OWN_PANICS.fetch_add(1, Ordering::Relaxed);
            usual(info);
        }
    }));
}
