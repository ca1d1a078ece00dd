"""What-if search: variants of trained models on several chips, what each is worth and costs, and which are best."""
