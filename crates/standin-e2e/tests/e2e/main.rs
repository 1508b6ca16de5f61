//! Real clients and agents through the whole product.

#![expect(clippy::unwrap_used, reason = "what a test calls is part of the test")]

mod agents;
mod aws;
mod backends;
mod captured;
mod clients;
mod copies;
mod crash;
mod dangers;
mod direct;
mod doctor;
mod escapes;
mod files;
mod gh;
mod home;
mod injection;
mod kernel;
mod keychain;
mod late_sources;
mod leases;
mod limits;
mod logins;
mod look;
mod nested;
mod nghttp2;
mod policy;
mod ports;
mod postgres;
mod python;
mod recipes;
mod refusal;
mod rotate;
mod safe;
mod screen;
mod searched;
mod secret_files;
mod secret_sources;
mod slots;
mod sockets;
mod ssh;
mod standard;
mod terminal;
mod ways_out;
mod websocket;
mod zero_config;
