/* The commands by which a box comes to be somebody's, for the table of command.c: they get their words from their own name on. */
#ifndef PENSTOCK_BOX_CMD_OWNER_H
#define PENSTOCK_BOX_CMD_OWNER_H

int cmd_claim(int argc, char **argv);    /* CODE | --status */
int cmd_login(int argc, char **argv);    /* prints a token */
int cmd_logout(int argc, char **argv);   /* standard input: a token */
int cmd_session(int argc, char **argv);  /* TOKEN */
int cmd_password(int argc, char **argv); /* `password`, `password-reset` */
int cmd_claim_code(int argc, char **argv);
int cmd_ssh_key(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_certificate(int argc, char **argv);
int cmd_provision(int argc, char **argv);
int cmd_prepare(int argc, char **argv);
int cmd_factory_reset(int argc, char **argv);

#endif
