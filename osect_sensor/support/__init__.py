"""The support report: what a sensor tells those who look into its troubles."""
