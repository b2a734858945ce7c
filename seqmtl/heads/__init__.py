"""Features to scores, scores to losses, scores to labels."""
