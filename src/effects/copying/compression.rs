//! How a dump is compressed.

use super::tools::Tool;
use crate::model::fault::Fault;

/// A way to compress that a pg_dump knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// As it is told.
    pub name: String,
    /// pg_dump's argument.
    pub argument: String,
}

impl Compression {
    /// The compression that is asked for; `auto` is the fastest that the program knows and the disk allows.
    pub fn choose(asked: &str, tool: &Tool, bytes: u64, free: u64) -> Result<Self, Fault> {
        let methods = tool.major >= 16;
        let name = match asked {
            "auto" if methods => "lz4",
            "auto" if free / 6 >= bytes / 5 => "none",
            "auto" => "gzip:1",
            given => given,
        };
        let (method, level) = name.split_once(':').unwrap_or((name, ""));
        let argument = match method {
            "none" => "--compress=0".to_owned(),
            "gzip" if level.is_empty() => "--compress=6".to_owned(),
            "gzip" => format!("--compress={level}"),
            "zstd" | "lz4" if methods => format!("--compress={name}"),
            "zstd" | "lz4" => {
                let message = format!("pg_dump {} does not know {method}; it came with 16", tool.version);
                return Err(Fault::fatal("dump.compress", message).hinted("use \"auto\", \"none\" or \"gzip:1\""));
            }
            _ => {
                return Err(Fault::fatal("dump.compress", format!("`{asked}` is no way to compress a dump"))
                    .hinted("there are auto, none, gzip:LEVEL, zstd and lz4"));
            }
        };
        Ok(Self { name: name.to_owned(), argument })
    }
}
