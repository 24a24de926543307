"""The Pulumi program: a Neon project with its main branch, or a branch of one, and their connection strings."""
