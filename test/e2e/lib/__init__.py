"""What the end-to-end tests share: throw-away servers, clients, canonical values, reports."""
