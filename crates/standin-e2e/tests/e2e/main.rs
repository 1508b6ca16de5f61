//! Real clients and agents through the whole product.

mod agents;
mod clients;
mod escapes;
mod injection;
mod python;
mod zero_config;
