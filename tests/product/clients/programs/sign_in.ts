// The sign-in flows of Auth.js, through its own Prisma adapter. Prints what each step gave.
import { PrismaAdapter } from "@auth/prisma-adapter";
import { prisma } from "./prisma.ts";

const adapter = PrismaAdapter(prisma as never) as Required<ReturnType<typeof PrismaAdapter>>;
const soon = new Date(Date.now() + 3_600_000);
const later = new Date(Date.now() + 7_200_000);
const email = "ada@example.org";

// OAuth: a person, the account at the provider, a session
const user = await adapter.createUser({ id: "", name: "Ada", email, emailVerified: null, image: "https://example.org/a.png" } as never);
const provider = { provider: "example", providerAccountId: "42" };
await adapter.linkAccount({ ...provider, userId: user.id, type: "oauth", access_token: "a", expires_at: 1900000000, scope: "openid", token_type: "bearer" } as never);
const byAccount = await adapter.getUserByAccount(provider);
await adapter.createSession({ sessionToken: "session-1", userId: user.id, expires: soon });
const signedIn = await adapter.getSessionAndUser("session-1");
await adapter.updateSession({ sessionToken: "session-1", expires: later });
const prolonged = await adapter.getSessionAndUser("session-1");
const updated = await adapter.updateUser({ id: user.id, name: "Ada L." });

// A link by e-mail, good for one use
await adapter.createVerificationToken({ identifier: email, token: "token-1", expires: soon });
const used = await adapter.useVerificationToken({ identifier: email, token: "token-1" });
const usedAgain = await adapter.useVerificationToken({ identifier: email, token: "token-1" });
const byEmail = await adapter.getUserByEmail(email);
const verified = await adapter.updateUser({ id: user.id, emailVerified: soon });

const again = async () => adapter.createUser({ id: "", email, emailVerified: null } as never);
const secondUser = await again().then(() => "made", () => "refused");

// Signing out, and leaving: everything of the person goes
await adapter.createSession({ sessionToken: "session-2", userId: user.id, expires: soon });
await adapter.deleteSession("session-2");
const signedOut = await adapter.getSessionAndUser("session-2");
await prisma.thread.create({ data: { userId: user.id, messages: { create: { role: "human", content: "x" } } } });
await adapter.unlinkAccount(provider as never);
await adapter.linkAccount({ ...provider, userId: user.id, type: "oauth" } as never);
await adapter.deleteUser(user.id);

console.log(
  JSON.stringify({
    userId: user.id,
    byAccount: byAccount?.id,
    signedIn: [signedIn?.user.id, signedIn?.session.expires.getTime() === soon.getTime()],
    prolonged: prolonged?.session.expires.getTime() === later.getTime(),
    updated: updated.name,
    used: used?.identifier,
    usedAgain,
    byEmail: byEmail?.id,
    verified: verified.emailVerified?.getTime() === soon.getTime(),
    secondUser,
    signedOut,
    left: [await prisma.user.count(), await prisma.account.count(), await prisma.session.count(), await prisma.thread.count(), await prisma.message.count()],
  }),
);
await prisma.$disconnect();
