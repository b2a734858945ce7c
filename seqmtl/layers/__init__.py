"""Small modules that encoders, sharing schemes and heads are made of."""
