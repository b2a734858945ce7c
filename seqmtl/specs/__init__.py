"""What a person asks for: strict, frozen descriptions, free of torch."""
