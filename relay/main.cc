// Picks the subcommand; see relay/cli.
int main() { return 0; }
