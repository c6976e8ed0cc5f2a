//! QR picture of a proof: alphanumeric mode, level M (PROOFS §4.8), as PNG.

use fast_qr::{ECL, QRBuilder};

use crate::service::Refusal;

/// Pixels per module: at 300 dpi a V12 symbol prints about 44 mm wide.
const MODULE_PIXELS: usize = 8;
/// Quiet zone in modules (ISO 18004).
const QUIET_MODULES: usize = 4;

/// The picture of a text in the QR alphanumeric alphabet.
pub fn png(text: &str) -> Result<Vec<u8>, Refusal> {
    let failed = |cause: String| Refusal::new("qr-failed").with("cause", cause);
    let alphabet = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || " $%*+-./:".contains(c);
    if !text.chars().all(alphabet) {
        return Err(failed("text outside the QR alphanumeric alphabet".into()));
    }
    let code = QRBuilder::new(text).ecl(ECL::M).build().map_err(|e| failed(format!("{e:?}")))?;
    let side = (code.size + 2 * QUIET_MODULES) * MODULE_PIXELS;
    let mut pixels = vec![255u8; side * side];
    for row in 0..code.size {
        for column in 0..code.size {
            if !code[row][column].value() {
                continue;
            }
            for y in 0..MODULE_PIXELS {
                let start = ((row + QUIET_MODULES) * MODULE_PIXELS + y) * side
                    + (column + QUIET_MODULES) * MODULE_PIXELS;
                pixels[start..start + MODULE_PIXELS].fill(0);
            }
        }
    }
    let mut out = Vec::new();
    let width = u32::try_from(side).map_err(|e| failed(e.to_string()))?;
    let mut encoder = png::Encoder::new(&mut out, width, width);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| failed(e.to_string()))?;
    writer.write_image_data(&pixels).map_err(|e| failed(e.to_string()))?;
    drop(writer);
    Ok(out)
}
