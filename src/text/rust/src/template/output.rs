//! Where a render goes: memory, up to a cap.
use std::io;

const MAX_OUTPUT_BYTES: usize = 64 << 20;

pub struct Capped {
    bytes: Vec<u8>,
}

impl Capped {
    pub fn new() -> Capped {
        Capped { bytes: Vec::new() }
    }

    pub fn into_string(self) -> String {
        String::from_utf8(self.bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT_BYTES {
            return Err(io::Error::other(format!("the chat template writes more than {MAX_OUTPUT_BYTES} bytes")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
