"""What tests have in common: servers, doubles, factories of facts, and the chaos harness."""
