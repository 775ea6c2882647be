"""Fine-tuning: memory by what is kept for every weight and token, time by the same physics. Pure arithmetic."""
