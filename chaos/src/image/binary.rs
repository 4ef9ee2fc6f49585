//! What the head of a program says about where it can run. Pure: bytes in, facts out.

use std::fmt;

use serde::Serialize;

/// The text that every `etcd-operator` built with the feature `mutants` carries, since its `--version` says it, and no other.
/// It is looked for in the file itself, so that a program of another processor is seen through as well. The `#` is taken out
/// when it is used: this program must not carry the text itself.
const WRONG_OPERATOR_MARK: &str =
    "built with deliberately wrong# operators: for tests only, never for an image";

/// The mark as such an operator carries it.
pub(super) fn wrong_operator_mark() -> String {
    WRONG_OPERATOR_MARK.replace('#', "")
}

const ELF_MAGIC: &[u8] = b"\x7fELF";
const CLASS_64_LITTLE_ENDIAN: [u8; 2] = [2, 1];
const MACHINE_AMD64: u16 = 62;
const MACHINE_ARM64: u16 = 183;
/// The kind of program header that names a dynamic loader (System V ABI, PT_INTERP).
const INTERPRETER: u32 = 3;

/// A processor, in the words of the OCI image specification (Go's `GOARCH`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
        })
    }
}

/// What there is to know about a program before it is put into an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The processor it is for.
    pub architecture: Architecture,
    /// Whether it runs without a loader and libraries, which a scratch image does not have.
    pub is_static: bool,
    /// Whether it carries the mark of deliberately wrong operators.
    pub is_wrong_operator: bool,
}

impl Program {
    /// Reads a whole ELF file; the reason if it is none that our images can hold.
    pub fn read(bytes: &[u8]) -> Result<Program, String> {
        if !bytes.starts_with(ELF_MAGIC) {
            return Err("it is not a Linux program (no ELF file)".to_owned());
        }
        if bytes.get(4..6) != Some(&CLASS_64_LITTLE_ENDIAN) {
            return Err("it is not a 64-bit little-endian program".to_owned());
        }
        let architecture = match number(bytes, 18, 2)? {
            machine if machine == u64::from(MACHINE_AMD64) => Architecture::Amd64,
            machine if machine == u64::from(MACHINE_ARM64) => Architecture::Arm64,
            machine => {
                return Err(format!(
                    "it is for a processor that images are not made for (ELF machine {machine})"
                ));
            }
        };
        let is_static = !has_interpreter(bytes)?;
        let is_wrong_operator = memchr::memmem::find(bytes, wrong_operator_mark().as_bytes()).is_some();
        Ok(Program { architecture, is_static, is_wrong_operator })
    }
}

fn has_interpreter(bytes: &[u8]) -> Result<bool, String> {
    let table = number(bytes, 32, 8)?;
    let size = number(bytes, 54, 2)?;
    let count = number(bytes, 56, 2)?;
    for index in 0..count {
        let at = table.saturating_add(index.saturating_mul(size));
        let at = usize::try_from(at).map_err(|_| "its program headers lie outside the file".to_owned())?;
        if number(bytes, at, 4)? == u64::from(INTERPRETER) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A little-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64, String> {
    let field = at.checked_add(width).and_then(|end| bytes.get(at..end));
    let field = field.ok_or_else(|| "it is cut off: a header of the ELF file lies outside".to_owned())?;
    Ok(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}
