"""What tests, benchmarks and users' own tests need: shipped fakes, and a real Kafka to run against."""
