//! Compiles `proto/` once into a descriptor set and the comments beside it, which the catalog is made from, and into
//! typed messages, which only the simulated daemon's world uses.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet, SourceCodeInfo, source_code_info::Location};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(sources("proto")?)?;
    let mut files = compiler.file_descriptor_set();
    // Apart, and without the places of all else: they are two thirds of a descriptor set, and every start reads it.
    fs::write(out.join("comments.bin"), comments(&files).encode_to_vec())?;
    fs::write(out.join("descriptors.bin"), compiler.include_source_info(false).encode_file_descriptor_set())?;
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

/// The comments of all files, by the paths of what they are about.
fn comments(files: &FileDescriptorSet) -> FileDescriptorSet {
    let mut named = Vec::new();
    for file in &files.file {
        let info = file.source_code_info.clone().unwrap_or_default();
        let commented = info.location.into_iter().filter(|location| location.leading_comments.is_some());
        let only = |Location { path, leading_comments, .. }| Location { path, leading_comments, ..Location::default() };
        let info = SourceCodeInfo { location: commented.map(only).collect() };
        let (name, source_code_info) = (file.name.clone(), Some(info));
        named.push(FileDescriptorProto { name, source_code_info, ..FileDescriptorProto::default() });
    }
    FileDescriptorSet { file: named }
}
