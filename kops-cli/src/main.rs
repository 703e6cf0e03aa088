//! kops
fn main() {}
