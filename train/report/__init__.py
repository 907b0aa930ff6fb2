"""What a finished run says: page, figures, model card."""
