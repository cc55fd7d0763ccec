// An identity provider (OpenID Connect) of the tests' own: a real one, with people who are in groups. It says who somebody is in the
// token, and in which groups only to who asks, as providers do.

import Provider from 'oidc-provider';

const PEOPLE = { Doi: ['counsel', 'tea'], Endo: ['tea'] };

export class IdentityProvider {
  static async start(port, back) {
    const idp = new IdentityProvider();
    idp.issuer = `http://127.0.0.1:${port}`;
    const provider = new Provider(idp.issuer, {
      clients: [{ client_id: 'console', client_secret: 'a secret of the tests', redirect_uris: [back] }],
      claims: { openid: ['sub'], profile: ['preferred_username', 'groups'] },
      findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, preferred_username: sub, groups: PEOPLE[sub] ?? [] }) }),
      pkce: { required: () => true },
      cookies: { keys: ['of the tests'] },
    });
    idp.server = await new Promise((done) => { const server = provider.listen(port, '127.0.0.1', () => done(server)); });
    return idp;
  }

  // Fills in its forms, as somebody who says who they are and agrees.
  static async passes(page, name) {
    await page.waitForSelector('input[name=login]');
    await page.type('input[name=login]', name);
    await page.type('input[name=password]', 'any');
    await Promise.all([page.waitForNavigation(), page.click('button[type=submit]')]);
    if (page.url().includes('/interaction/')) await Promise.all([page.waitForNavigation(), page.click('button[type=submit]')]);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
