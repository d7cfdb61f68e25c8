//! Compiles `proto/` once into a descriptor set with comments, which the catalog is made from, and into typed
//! messages, which only the simulated daemon's world uses.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(sources("proto")?)?;
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let mut files = compiler.file_descriptor_set();
    // What describes RPCs is read by reflection only.
    files.file.retain(|file| file.extension.is_empty() && file.package() != "google.protobuf");
    prost_build::Config::new().include_file("olvid.rs").disable_comments(["."]).compile_fds(files)?;
    Ok(())
}

/// Lists the proto files below a folder, sorted so that builds are reproducible.
fn sources(folder: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.to_str() {
            Some(below) if path.is_dir() => files.extend(sources(below)?),
            _ if path.extension().is_some_and(|kind| kind == "proto") => files.push(path),
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}
