//! gzip: whether a client wants it, packing a whole body, unpacking one within a bound.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use std::cell::RefCell;
use std::io::Read as _;

/// Whether an `Accept-Encoding` asks for gzip. `*` does not: promhttp answers it unpacked.
pub fn wants_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|clause| {
        let mut parts = clause.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let refused = parts.any(|p| {
            let quality = p.trim().strip_prefix("q=").map(str::trim);
            quality.is_some_and(|q| q.parse::<f64>().is_ok_and(|q| q <= 0.0))
        });
        name.eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Packs a whole body.
pub fn gzip(body: &[u8]) -> Bytes {
    PACKER.with_borrow_mut(|packer| packer.pack(body))
}

/// Why a packed body cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GunzipError {
    /// It unpacks to more than allowed.
    #[error("unpacks to more than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: usize,
    },
    /// It is no gzip.
    #[error("broken gzip: {0}")]
    Broken(#[from] std::io::Error),
}

/// Unpacks a whole body of at most `limit` bytes.
pub fn gunzip(body: &[u8], limit: usize) -> Result<Bytes, GunzipError> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(body).take(limit as u64 + 1).read_to_end(&mut out)?;
    if out.len() > limit { Err(GunzipError::TooLarge { limit }) } else { Ok(out.into()) }
}

thread_local! {
    /// Its tables are 200 KiB: made once a thread, not once a scrape.
    static PACKER: RefCell<Packer> = RefCell::new(Packer::new());
}

struct Packer {
    deflate: Compress,
    out: Vec<u8>,
}

impl Packer {
    fn new() -> Self {
        Self { deflate: Compress::new(Compression::fast(), false), out: Vec::new() }
    }

    fn pack(&mut self, body: &[u8]) -> Bytes {
        self.deflate.reset();
        self.out.clear();
        self.out.extend_from_slice(&HEAD);
        // Deflate grows what it cannot pack by 5 bytes a block; this is room for any body in one go.
        self.out.reserve(body.len() / 4 + 1024);
        let mut taken = 0;
        loop {
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(&body[taken..], &mut self.out, FlushCompress::Finish);
            taken += (self.deflate.total_in() - before) as usize;
            match status {
                Ok(Status::StreamEnd) => break,
                _ => self.out.reserve(self.out.capacity().max(1024)),
            }
        }
        let mut crc = flate2::Crc::new();
        crc.update(body);
        self.out.extend_from_slice(&crc.sum().to_le_bytes());
        self.out.extend_from_slice(&crc.amount().to_le_bytes());
        Bytes::copy_from_slice(&self.out)
    }
}

/// RFC 1952: magic, deflate, no flags, no time, fastest, unknown system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_wants_gzip() {
        for yes in ["gzip", "deflate, gzip;q=1.0, *;q=0.5", "GZIP", "gzip; q=0.1"] {
            assert!(wants_gzip(yes), "{yes}");
        }
        for no in ["", "*", "identity", "gzip;q=0", "gzip; q=0.0", "zstd, br", "xgzip"] {
            assert!(!wants_gzip(no), "{no}");
        }
    }

    #[test]
    fn a_bomb_is_cut() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(matches!(gunzip(&bomb, 1000), Err(GunzipError::TooLarge { limit: 1000 })));
        assert!(matches!(gunzip(b"no gzip", 1000), Err(GunzipError::Broken(_))));
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks(body: Vec<u8>, times in 1usize..50) {
            let body = body.repeat(times);
            prop_assert_eq!(gunzip(&gzip(&body), body.len()).unwrap(), body);
        }

        #[test]
        fn any_bytes_are_survived(body: Vec<u8>, header: String) {
            let _ = gunzip(&body, 1 << 16);
            wants_gzip(&header);
        }
    }
}
