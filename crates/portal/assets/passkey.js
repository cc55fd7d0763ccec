// Makes a passkey, or uses one (WebAuthn Level 3). The page has one button for it, which says where the ceremony begins and
// ends; everything else about it is the server's. Without this script the page says what to do instead.
const button = document.querySelector('button[data-passkey]');
const told = document.querySelector('[data-told]');

const ask = async (path, body) => {
  const answer = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  if (!answer.ok) throw new Error((await answer.text()) || `the console answered ${answer.status}`);
  return answer;
};

const ceremony = async ({ passkey, begin, finish, then }) => {
  const publicKey = await (await ask(begin)).json();
  const made = passkey === 'make'
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
  await ask(finish, JSON.stringify(made.toJSON()));
  location.assign(then);
};

if (globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    button.disabled = true;
    told.textContent = '';
    try {
      await ceremony(button.dataset);
    } catch (error) {
      told.textContent = error.name === 'NotAllowedError' ? 'It was cancelled, or took too long. Nothing was changed.' : error.message;
      button.disabled = false;
    }
  });
} else {
  told.textContent = 'This browser makes no passkeys here. It takes a newer one, and an address with a name: https://, or http://localhost.';
}
