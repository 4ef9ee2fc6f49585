//! The scenario file: parsed, validated and turned into a schedule by a seed. Never reads a clock or the network.
