"""What is on disk: artifacts, their manifests and checksums, atomic writes, strict JSON, configs as attrs classes."""
